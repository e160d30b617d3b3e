"""SageMaker endpoints: the API, the fleets, and the hosting containers that they run."""
