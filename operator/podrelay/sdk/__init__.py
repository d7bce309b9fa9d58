"""What task authors import, by way of the package `podrelay`: definitions, the controller, answers.

Standard library only, and as little of it as possible: every millisecond of its import is paid by every pod.
"""
