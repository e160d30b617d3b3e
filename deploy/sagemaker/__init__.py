"""SageMaker: training and tuning jobs, releases of the endpoint, the notebook."""
