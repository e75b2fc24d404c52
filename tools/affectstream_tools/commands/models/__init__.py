"""``train``, ``evaluate``, ``live`` and ``agreement``: models, and front ends beside others'."""
