"""The training instance: its preparation and its runs."""
