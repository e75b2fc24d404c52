"""The experiments of Woellmer et al. (2010): valence, activation and clusters in dialogue order.

``tables.WOELLMER`` is what the papers' tables use of it.
"""
