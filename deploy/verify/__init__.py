"""`make verify`: what nobody could check without an account is asked of the deployed stack. It only reads."""
