"""DynamoDB and S3: the embedded ones, and a stack's tables and buckets."""
