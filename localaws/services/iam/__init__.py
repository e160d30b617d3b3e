"""IAM: policies and signatures, evaluated."""
