"""Run a SAM template's WebSocket API on this machine, as AWS would run it.

Nothing in here ships. `python -m local` reads the template, and the packages' parts are, in the
order in which a run meets them:

    transform, parameters, intrinsics, resources    the template, as CloudFormation reads it
    stack, template, apis                           what is left of it: functions, routes, storage
    lint                                            mistakes that AWS does not report
    backends, moto_server, index_lag                DynamoDB and S3
    functions, pool, worker, bootstrap, invocations Lambda: processes that run the handlers
    selection, events, results, connections,
    throttle, authorizers, limits, gateway,
    management                                      API Gateway's rules, without a socket in sight
    sockets, server                                 the sockets
    runner, deployment, reload, terminal, __main__  all of it together, under one command
"""
