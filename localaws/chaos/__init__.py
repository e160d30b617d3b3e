"""Faults on demand: requests that are throttled, fail or are late, and machines that are lost, by rule.

rule.py reads a rule, faults.py has the errors of each service, decisions.py says what happens to a request, losses.py
takes machines away. The API is `localaws.services.chaos`.
"""
