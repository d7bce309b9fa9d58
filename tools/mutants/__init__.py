"""Changes that break the relay, one at a time, to see that the tests notice: `make mutants`."""
