"""What a deployment does now: its parts, its traffic, its alarms, its cost, and what to do next."""
