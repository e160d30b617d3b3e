"""Convert an image's bytes to the pixels for a network."""
