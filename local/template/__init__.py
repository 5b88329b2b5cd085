"""Read a SAM or CloudFormation template as CloudFormation does. The result is in `model`."""
