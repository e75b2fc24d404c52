"""Speech and dialogues that are made up, so that their truth is known.

``espeak`` speaks with the time of every word. ``dialogue_model`` draws dialogues and ``ceilings``
says the best that can be scored on them; ``corpus_writer`` writes them as a corpus in IEMOCAP's
layout, ``kept_corpus`` once for all experiments, and ``features`` turns them into numbers.
"""
