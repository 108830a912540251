"""Metrics for Prometheus, on a listener of their own. Nothing here is imported while `metrics.port` is 0."""
