"""``context``, ``ordering`` and ``tables``: studies, and the papers' tables beside ours."""
