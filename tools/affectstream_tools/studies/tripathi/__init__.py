"""The experiments of Tripathi and Beigi (2018): speech, text and motion networks, four classes.

``tables.TRIPATHI`` is what the papers' tables use of it.
"""
