"""Benchmarks: ``affectstream-lab bench`` prints what they measure.

Most modules have one ``measure_...`` function, which starts real processes and returns figures.
Trials use ``load`` (made-up dialogues) and ``footprint`` (memory, files, threads of a process).
"""
