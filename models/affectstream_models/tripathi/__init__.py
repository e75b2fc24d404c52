"""The networks of Tripathi and Beigi (2018) for speech, text, motion capture, and all together.

Others use ``networks`` (every network by its name in the paper's tables) and ``checkpoints``.
"""
