"""Checks that are made from AWS's service models and run against a local AWS: `python -m localaws conformance`."""
