"""Benchmarks of a microphone's worker: what it costs, and what a disturbed device does to it.

``virtual`` is a microphone without a sound card (PulseAudio); the tests use it too.
"""
