"""Traces by OpenTelemetry. Nothing of it is imported unless the environment asks for traces (switch.py)."""
