"""Training of the context model and of the text encoders that it reads by.

``recipes`` has the numbers of every model, ``sources`` reads what a recipe learns from,
``trainer`` trains its networks, and ``checkpoint`` makes the file of a shipped model. Used by
others beside these: ``targets`` (what is learned of an utterance) and ``kept_sentences``.
"""
