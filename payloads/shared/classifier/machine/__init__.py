"""The use of the machine by a run: as given, or chosen by autotuning."""
