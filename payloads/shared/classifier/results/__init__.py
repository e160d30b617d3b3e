"""The results of a run: metrics.json, report.html and their contents."""
