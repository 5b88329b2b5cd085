"""The sockets: WebSocket and HTTP, in front of the gateway's rules."""
