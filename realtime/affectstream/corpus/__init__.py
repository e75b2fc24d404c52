"""IEMOCAP: reading a copy of it, replaying it as a live stream, scoring the estimates.

Others use ``reader.open_corpus``, the values of ``dialogues``, ``script`` and ``replay`` to play a
dialogue, and ``scoring``.
"""
