"""Accuracy with few images, lists of likely label errors, and the trial of the presets, on a folder of photographs."""
