"""A trained model as a file for other runtimes: `make export`."""
