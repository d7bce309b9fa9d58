"""`make demo`: a cluster, the operator, real runs live in the terminal, and the way on by hand.

`__main__` is the order of things, `story` the two runs that are applied, `doors` those that come by GraphQL and by the
command line, with `frontend` as the one that speaks GraphQL; `board` shows them, `words` says what comes before and
after, `programs` calls kubectl and helm as anybody could, `diagnosis` gathers what helps where something went wrong.
"""
