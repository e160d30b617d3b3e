"""What `make snapshot` asks of a running local AWS."""
