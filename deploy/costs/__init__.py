"""What the stack costs: idle, for each prediction and for each training run, at list prices."""
