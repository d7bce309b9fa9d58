"""The commands that talk to a cluster: trigger, list, get, logs, abort and the others. They need the extra `cli`."""
