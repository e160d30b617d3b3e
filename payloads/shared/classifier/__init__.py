"""What every payload shares: the contract, the data, the model, its training and its artifact."""
