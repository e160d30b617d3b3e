"""Tests of the shared package, on pictures made here."""
