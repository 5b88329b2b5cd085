"""A SAM or CloudFormation template, read as CloudFormation would: what runs here is its `model`."""
