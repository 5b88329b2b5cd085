"""The operator's tool: hand out, erase and expire what users wrote.

``python -m personal_data --help``. It runs with the operator's own credentials, outside the
deployment, and never prints a text or a file name. Its modules:

- `deployment`: the tables, the bucket and the API of a deployment
- `rows`: which rows there are of a user, and how they are found
- `rate`: limit the capacity that is used
- `scan`: what a scan costs, and whether it may begin
- `export`: all that is stored of a user, as files
- `erase`: erase what a user wrote; `tombstones`, `chat_files`, `connections`: in a chat, in the
  bucket, and on the open connections
- `retention`: set `ttl` of messages that are stored already
- `terminal`: what is printed
- `errors`: what ends a run early
"""
