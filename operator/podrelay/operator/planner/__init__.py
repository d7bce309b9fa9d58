"""What happens next to a TaskRun. Pure: values in, values out; `planner` is where to begin."""
