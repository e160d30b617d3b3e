"""`make review`: label captured images in a page on this machine, and add them to a new version of the dataset."""
