"""Decides what a TaskSchedule does now: pure functions from a view to a plan. No I/O, no clock."""
