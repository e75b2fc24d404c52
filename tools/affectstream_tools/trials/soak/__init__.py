"""A day through the live path, played fast: does memory grow, is speech still recognised as well?

``recording`` is what is heard, ``day`` runs the processes, ``scoring`` compares what came with
what was said, ``measures`` computes, ``words`` and ``plot`` show, ``report`` saves.
"""
