"""The controllers of TaskRuns and TaskDefinitions, and their work queue."""
