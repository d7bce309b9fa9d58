"""Carries out plans: builds objects and patches, writes them, and stores the API server's answers in the cache."""
