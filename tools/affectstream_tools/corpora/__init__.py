"""Corpora in IEMOCAP's shape, dialogues of utterances, and the features prepared of them."""
