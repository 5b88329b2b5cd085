"""IAM: what the role of a function allows, and which permissions a call needs."""
