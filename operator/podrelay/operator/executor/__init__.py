"""Carries plans out: builds what is written, writes it, and tells the cache what the API server has answered."""
