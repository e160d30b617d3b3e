"""Load tests: a client, shapes of load, what AWS measured meanwhile, recommendations and a report."""
