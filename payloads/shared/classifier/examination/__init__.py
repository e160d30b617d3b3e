"""Which photographs of a dataset a person should look at: likely label errors, outliers, and pictures that look odd."""
