"""EC2: instances as directories and the processes that run in them."""
