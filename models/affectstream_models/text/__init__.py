"""Transcripts as numbers for the context model: n-grams, word vectors, sentence vectors.

Others use ``word_encoder`` (``TextEncoder``, and its tables in training), ``sentence_encoder``
(by name), and ``adapter``, which training makes and a sentence encoder adds to its weights.
"""
