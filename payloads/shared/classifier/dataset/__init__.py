"""Labelled photographs: an ImageFolder, reading its files, and checks of its contents."""
