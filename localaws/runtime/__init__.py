"""The contracts that AWS's containers keep, kept here by plain processes."""
