"""The checks of `make doctor`: what would stop an apply, before anything is created. They only read."""
