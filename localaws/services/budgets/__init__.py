"""AWS Budgets: kept and given back. Nothing is spent in the rehearsal, so no notification is ever sent."""
