"""Run a SAM template's WebSocket API on this machine, as AWS would run it.

Nothing in here ships. The packages, in the order in which a run meets them:

    template    the template, as CloudFormation reads it: functions, routes, storage, mistakes
    storage     DynamoDB and S3
    lambdas     Lambda: processes that run the handlers, and the Invoke API
    gateway     API Gateway's rules, without a socket in sight
    server      the sockets

At the root is what starts them (`__main__`, `runner`), replaces them after an edit (`deployment`,
`reload`) and prints (`terminal`).
"""
