"""Experiments with a report each.

``tripathi`` and ``woellmer`` run two papers' experiments again, ``tables`` prints their figures
beside the papers'. ``context`` asks what context is worth to the context model on IEMOCAP's labels,
``ordering`` what it is worth on synthetic dialogues whose best possible scores are known.
"""
