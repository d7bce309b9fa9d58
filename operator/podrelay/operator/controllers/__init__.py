"""Who drives it: the work queue, and what is done with a key of a TaskRun or of a TaskDefinition."""
