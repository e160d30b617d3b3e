"""Compare a candidate with the live model on held-out images, before `make promote` changes anything."""
