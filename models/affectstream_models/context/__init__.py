"""The context model: an emotion estimate for every utterance of a dialogue, revised by later ones.

Others use ``checkpoints`` (``load_pretrained``, ``load_context_model``), ``model`` and its
``values``; training uses ``network`` and ``batches``; the journal uses ``serialization``.
"""
