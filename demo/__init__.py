"""`make demo`: a cluster, the operator, two real runs live in the terminal, and the way on by hand.

`__main__` is the order of things and `story` the two runs; `board` shows them, `words` says what comes before and
after, `programs` calls kubectl and helm as anybody could, `diagnosis` gathers what helps where something went wrong.
"""
