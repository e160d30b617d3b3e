"""The eager model behind HTTP, as others host it: the original project's handler, LitServe, Ray Serve."""
