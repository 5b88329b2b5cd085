"""The sockets, WebSocket and HTTP, for the rules in `local.gateway` and `local.lambdas`."""
