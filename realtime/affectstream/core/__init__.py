"""Rules as pure machines: no clock, no thread, no socket, no network, no chance.

``capture`` says where captured audio lies in time, ``speech`` finds and describes utterances,
``delivery`` makes loss visible, ``dialogue`` turns streams into estimates. Every machine has
``receive``, ``wake``, ``next_wake_ns`` and ``close``, and is told the time.
"""
