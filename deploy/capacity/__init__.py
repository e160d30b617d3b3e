"""Capacity planning: a simulation of function, endpoint and policies, and a search for the cheapest settings."""
