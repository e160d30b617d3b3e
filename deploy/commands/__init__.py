"""One module per make target. No other module imports from here."""
