"""The HTTP edge: routes, middleware, handlers."""
