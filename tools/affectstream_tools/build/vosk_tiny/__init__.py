"""Builds a Vosk model of under a megabyte from espeak-ng speech, and measures it."""
