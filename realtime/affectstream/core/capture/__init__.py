"""Captured audio and where it lies in event time.

Sources use ``audio`` (what they hand on: samples, holes, a lost device), ``clock`` (the position of
each block), ``hold`` (blocks that came in a burst) and ``mute`` (a muted device). ``lateness`` is
the clock's own.
"""
