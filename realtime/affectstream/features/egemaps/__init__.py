"""The 23 descriptors of eGeMAPS v01b (Eyben et al. 2016) every 10 ms, and their statistics.

Others use ``front_end`` (``Egemaps`` for a stream, ``extract_egemaps`` for a recording) and
``statistics.utterance_statistics``; the shipped models read these statistics.
"""
