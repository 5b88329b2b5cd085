"""Patches: all code that depends on the internals of other libraries, by process.

    versions          the versions that the patches were checked against
    uvicorn_patches   the runner: frame limits, header names, refused handshakes, signals
    botocore_plugin   the runner, for the processes of functions: see there
    moto_patches      the process of the embedded DynamoDB and S3: time

Each patch has its reason, a link, and the measured gain if it is for speed. It refuses to work with
a version of its library that it was not checked against. `local.storage.index_lag` wraps methods of
moto too; that is a feature, and the list of these methods is in `moto_patches`.
"""
