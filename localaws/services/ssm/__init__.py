"""Systems Manager: commands that run on instances."""
