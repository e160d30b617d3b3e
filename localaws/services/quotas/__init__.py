"""Service Quotas and the plan of the account: its limits, as it reads them."""
