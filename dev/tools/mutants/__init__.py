"""Changes that break the relay, one at a time, to check that the tests fail: `make mutants`."""
