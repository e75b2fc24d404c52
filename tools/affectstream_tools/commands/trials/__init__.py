"""``bench``, ``faults``, ``fuzz``, ``link`` and ``soak``: the system measured, and under stress."""
