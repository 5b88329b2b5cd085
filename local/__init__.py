"""Run a SAM template's WebSocket API on this machine, as AWS would run it.

Nothing in this package is deployed. Its packages, in the order in which a run uses them:

    template    the template, as CloudFormation reads it: functions, routes, storage, mistakes
    storage     DynamoDB and S3
    lambdas     Lambda: processes that run the handlers, and the Invoke API
    gateway     API Gateway's rules, without sockets
    server      the sockets
    patches     all that depends on the internals of other libraries

The other modules start everything (`__main__`, `runner`), replace it after an edit
(`running_stack`, `reload`) and print (`terminal`). Several packages use `errors` and
`invocation_result`. `tests/local/test_imports.py` says which package may import which.
"""
