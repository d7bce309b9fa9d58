"""Builds the container images for the local clusters: `python -m images build`.

`podrelay` runs the operator, `podrelay-task` is what images of tasks are built on, `podrelay-examples` is one. Nothing
is built whose inputs have not changed: each image carries their hash as a label.
"""
