"""How a run uses its machine: as told, or as autotuning finds."""
