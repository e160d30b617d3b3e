"""SageMaker training jobs: the API, the jobs, and the training container's contract."""
