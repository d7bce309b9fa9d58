"""Inputs against the JSON Schemas of definitions, in a process of its own: for operator, gateway and task service."""
