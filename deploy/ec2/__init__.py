"""The training instance: its preparation, and the runs that are sent to it."""
