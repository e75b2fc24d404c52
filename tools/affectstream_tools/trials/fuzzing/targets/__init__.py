"""The parts of the system that are fuzzed, each as a ``Target``.

``wire``: codec, inlet and outlet; ``bus``: the same over sockets; ``node``: the fusion node;
``media``, ``corpus``, ``settings``: readers of files.
"""
