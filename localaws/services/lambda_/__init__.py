"""Lambda: functions, their execution environments, versions, concurrency and URLs."""
