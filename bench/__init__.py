"""Measure speed as ratios to a baseline in the same run: `make bench`, `make bench ONLY=name`."""
