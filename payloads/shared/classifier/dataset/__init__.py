"""Labelled photographs: an ImageFolder, how its files are read, and what is checked in them."""
