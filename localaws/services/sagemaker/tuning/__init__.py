"""SageMaker tuning jobs: the API, the search, and the trials."""
