"""A trial on the user's photographs that chooses the network and its resolution."""
