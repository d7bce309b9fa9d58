"""The SDK for task authors, exported by the package `podrelay`: task definitions, the controller, answers.

Standard library only, and as little of it as possible: its import time adds to the start of every pod.
"""
