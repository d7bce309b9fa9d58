"""The runner, the program inside a task's pod: `podrelay-runner MODULE:CLASS`.

It follows the record protocol of docs/architecture.md: read the TaskRun and check that this pod is the one that is due
(`fence`), claim the record (`record`), load the state, import the task, run it, store the answer. It uses only
http.client, ssl and json, because its import time adds to the start of every pod.
"""
