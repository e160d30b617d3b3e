"""Settings that contradict each other, found before a plan is applied."""
