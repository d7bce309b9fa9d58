"""Projections of API objects: only the fields that the operator reads are decoded and kept.

Payloads (outputs, checkpoints, inputs) are not kept, except the small inputs of unfinished runs, so that 10,000 runs
fit into memory.
"""
