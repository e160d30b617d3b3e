"""The function: one request from its event to its answer. Standard library only."""
