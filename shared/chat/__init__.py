"""The chat's rules, and the few AWS calls they need.

A handler names its collaborators and makes one call. What happens then is here:

==================  ==============================================================
module              what it knows
==================  ==============================================================
`websocket`         API Gateway's event in, the reply out, and errors as frames
`frames`            how a client's fields are read, and ours written
`identity`          what a user id is, and who somebody claims to be
`handshake`         who is believed about who is connecting
`tokens`            what an issuer's token says, where a deployment has an issuer
`issuer`            the issuer's keys
`connection_limit`  how many connections a user may have
`chats`             what a chat id is, and who belongs to the chat
`connections`       the table ``ChatConnections``
`messages`          a message, and the table ``ChatMessages``
`push`              one frame to one connection
`delivery`          a message's way: stored, pushed, acknowledged
`catch_up`          asking for what was missed
`replay`            pushing what was missed
`uploads`           what may be uploaded, and the presigned link to do it with
`files`             the bucket: what is in it, what stays, and the links to fetch it
`file_keys`         what files are called, and the keys that they are kept under
`disposition`       the header that makes a browser save a file under its own name
`errors`            everything a client can be told went wrong
`aws`               the clients: one session a container, short timeouts, calls in parallel
`retry`             when to try again: backoff with jitter, until a deadline
`settings`          the environment variables, and who reads which
`telemetry`         the logger and the metrics
==================  ==============================================================
"""
