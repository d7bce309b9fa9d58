"""What runs inside a task's pod: `podrelay-runner MODULE:CLASS`.

Order of things (the record protocol of docs/architecture.md): read the TaskRun and make sure that this pod is the one
that is due (`fence`), claim the record (`record`), load the state, import the task, run it, store the answer.
Only http.client, ssl and json are used, because every millisecond here is paid in every pod.
"""
