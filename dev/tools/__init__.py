"""Programs of this repository that the Makefile runs."""
