"""Package the payloads and the libraries that they need."""
