"""``train``, ``evaluate`` and ``live``: models trained, scored, and played clips."""
