"""Corpora as dialogues of utterances, and what is known of their utterances beside the sound.

``any_corpus`` opens a folder, whatever corpus it holds. ``splits`` says what is learned from and
what is scored; ``annotations`` turns ratings into classes. Single sentences, word vectors and
clips whose names say an emotion have a module each. ``features`` prepares features of the sound.
"""
