"""Packages the payloads, and what they need beside our code."""
