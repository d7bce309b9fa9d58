"""Decides what happens next to a TaskRun. Pure functions: values in, values out; begin with `planner`."""
