"""Trials of the whole system, each with a command of ``affectstream-lab``.

``faults``: processes are killed; ``fuzzing``: wrong input; ``link``: a bad network between two
hosts; ``soak``: a day of speech. Each has a ``report`` that is saved and printed.
"""
