"""Tools for the development of the project. They are neither packaged nor deployed."""
