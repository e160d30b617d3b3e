"""The package that all payloads share: the contract, the data, the model, its training and its artifact."""
