"""Keeps the event loop free: long work takes turns or leaves it, and garbage is collected while it is idle."""
