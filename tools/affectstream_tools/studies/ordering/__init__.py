"""Recognizers with more and more context on synthetic dialogues, below their ceilings.

``experiment`` makes the jobs, ``report`` summarises what they found, ``files`` saves and reads it.
"""
