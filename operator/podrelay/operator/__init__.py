"""The operator: it watches TaskRuns, decides what happens next, and makes it happen.

The way of one TaskRun through this package:

    cache        it enters: `reflection` puts what the API server says into the `store`, which marks the run's key
    planner      what happens next is decided: a `view.View` of the run goes in, a `view.Plan` comes out; pure
    executor     it is done: every write to the API server on behalf of a run
    controllers  who drives it: workers take keys off the `workqueue`, look, plan and act until nothing is left to do

`main` starts all of this, `manager` puts it together, `leadership` sees to it that one replica at a time does it.
"""
