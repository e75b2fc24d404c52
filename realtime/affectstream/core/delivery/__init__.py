"""Delivery without silent loss: numbering, keeping, asking again.

The bus uses ``reassembler`` (a reader's side), ``retention`` (what an outlet keeps), ``requests``
and ``fairness`` (which request is answered next). ``known_outlet`` and ``retry`` are the
reassembler's own. Others use ``Positions``: where a reader stands.
"""
