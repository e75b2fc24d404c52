"""Features of a corpus's utterances, extracted once through the live path's front ends and kept.

Used by others: ``preparation`` (extract what is not kept yet), ``utterance_features`` (look it up
by utterance) and ``utterance_audio`` (the sound of an utterance at 16 kHz).
"""
