"""Labelled photographs as people have them, brought into the form that training reads."""
