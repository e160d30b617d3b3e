"""Tests of the shared package, with generated pictures."""
