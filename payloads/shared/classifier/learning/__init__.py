"""Training: features, heads, whole networks, and distributed processes."""
