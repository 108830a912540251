"""What every request passes: the connection, the edge, the auth middleware, and helpers of handlers."""
