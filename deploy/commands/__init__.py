"""One module per make target. Nothing else imports from here."""
