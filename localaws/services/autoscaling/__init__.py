"""Application Auto Scaling: policies, their alarms, and the activities that change a capacity."""
