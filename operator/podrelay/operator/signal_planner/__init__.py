"""Decides whether a TaskSignal is accepted for its run. Pure functions over values."""
