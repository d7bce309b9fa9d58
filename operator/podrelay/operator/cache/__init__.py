"""The operator's caches: objects as the reflectors see them, and the responses to its own reads and writes."""
