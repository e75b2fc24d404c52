"""``agreement``, ``context``, ``ordering`` and ``tables``: studies, and the papers' tables."""
