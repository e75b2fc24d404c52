"""Descriptors of sound, motion and words: numpy only, streaming, bounded state.

Knows: how to turn samples, frames and words into the numbers that the models were trained on.
Refuses to know: where the samples come from, and what is done with the numbers.
"""
