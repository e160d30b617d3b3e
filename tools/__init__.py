"""What the project's own development needs. Nothing here is packaged or deployed."""
