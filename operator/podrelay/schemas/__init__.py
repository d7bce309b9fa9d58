"""Validates inputs against JSON Schemas in a separate process, for operator, gateway and task service."""
