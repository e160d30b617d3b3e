"""Training: features, heads, whole networks, and the processes that train together."""
