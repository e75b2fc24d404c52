"""Builds a Vosk model of under a megabyte from espeak-ng's speech, and measures it.

Run ``python -m affectstream_tools.build.vosk_tiny``. The model is for tests and the demo.
"""
