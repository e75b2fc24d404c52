"""Streams of one dialogue into utterances, and utterances into estimates and their revisions.

Others use ``aligner`` (pieces into utterances), ``context`` and ``step`` (what is open, what is
computed and said), ``model`` (what a context model must offer), ``snapshot`` (what a journal
keeps) and ``revision_book`` (the subscriber's side).
"""
