"""SageMaker: training and tuning jobs, the endpoint's releases, the notebook."""
