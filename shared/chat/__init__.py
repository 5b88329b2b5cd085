"""The chat's rules, and the few AWS calls they need.

A handler names its collaborators and makes one call. What happens then is here:

==================  ==============================================================
module              what it does
==================  ==============================================================
`websocket`         turns API Gateway's event into a request, and frames into replies
`server_request`    reads the request of a server that invokes send_message itself
`client_frame`      reads the fields of a frame that a client sent
`server_frames`     builds the frames that clients receive
`authentication`    finds out which user opens a connection, or sends a frame
`connection_limit`  limits connections per user
`chats`             checks user ids, reads a chat id, and knows its two members
`rate_limit`        limits frames per connection
`connections`       the table ``ChatConnections``
`messages`          the table ``ChatMessages``
`push`              pushes a frame to a connection, or closes it
`fan_out`           pushes a frame to all connections of its users
`delivery`          stores a message, pushes it, acknowledges it
`waiting_topic`     notifies a topic of messages that wait
`retention`         for how long messages, and what belongs to them, are kept
`receipts`          the rows of ``ChatMessages`` that hold receipts
`signals`           stores receipts, pushes signals, acknowledges them
`history`           reads a page of a chat
`catch_up_request`  queues a catch-up
`catch_up`          pushes what a user missed
`uploads`           checks uploads, and signs links for them
`files`             looks up and retains files, and signs download links
`file_keys`         what is known of a file: its key in the bucket, and its name in that
`errors`            the errors that a client can receive
`aws`               the clients: one session a container, short timeouts, parallel calls
`retry`             attempts with backoff and jitter, until a deadline
`telemetry`         the logger and the metrics
==================  ==============================================================
"""
