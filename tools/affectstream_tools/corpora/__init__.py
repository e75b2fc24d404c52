"""Corpora beside IEMOCAP, as dialogues of utterances in its shape."""
