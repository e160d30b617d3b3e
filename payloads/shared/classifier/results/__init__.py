"""What a run leaves: metrics.json, report.html and what is in them."""
