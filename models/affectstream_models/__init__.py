"""The networks: weights and arithmetic only; they know nothing of streams.

``context`` is the model that runs in the fusion node; ``text`` encodes words and sentences.
``tripathi`` and ``woellmer`` have the models of the two papers. ``pretrained`` holds weights.
"""
