"""SageMaker: training, tuning, endpoints and notebooks."""
