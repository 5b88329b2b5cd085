"""API Gateway's rules for WebSocket APIs, without a socket in sight."""
