"""SageMaker notebook instances: the API, and a JupyterLab for each."""
