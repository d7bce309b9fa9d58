"""The operator: it watches TaskRuns, decides what happens next, and carries it out.

The packages in the order in which a TaskRun passes through them:

    cache        `reflection` stores objects from the API server in the `store`, which marks the key of the run
    planner      decides what happens next: from a `view.View` of the run, it makes a `plan.Plan`; pure functions
    executor     carries plans out: every write to the API server on behalf of a run
    controllers  workers take keys from the `workqueue`, plan and act until nothing remains to be done

`main` starts all of this, `manager` connects the parts, and `leadership` ensures that one replica at a time is active.
"""
