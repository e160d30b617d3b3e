"""The eager model behind HTTP, in the usual hosts: the original project's handler, LitServe, Ray Serve."""
