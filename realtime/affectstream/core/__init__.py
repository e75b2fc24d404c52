"""Rules as pure machines, which are told the time: no clock, thread, socket, network or chance.

``capture`` says where captured audio lies in time, ``speech`` finds and describes utterances,
``delivery`` makes loss visible, ``dialogue`` turns streams into estimates. Here: ``address`` of a
bus, ``peers`` and ``limits`` of a hub, ``clocks`` compared, ``restart_policy``, ``pacing``.
"""
