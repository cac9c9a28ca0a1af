"""One folder for each contender: how it does the tasks, and what to install for it.

`compare.py` (or another module) defines some of `univariate(reference)`, `mmd(reference)` and `classifier(reference)`.
Each prepares the reference, which is not timed, and returns a function of the current rows, which is. `PACKAGES` are
those whose versions are printed.
"""
