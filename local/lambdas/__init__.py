"""Lambda: processes that run the handlers, and the Invoke API."""
