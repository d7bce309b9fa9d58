"""`make demo`: a cluster, the operator, real runs live in the terminal, and commands to continue by hand.

`__main__` runs the steps in order. `story` has the two runs that are applied, `doors` those that are started through
GraphQL and the command line; `frontend` is the GraphQL client. `board` shows the runs, `words` has the texts before and
after them, `programs` calls kubectl and helm as a user would, and `diagnosis` collects information about a failure.
"""
