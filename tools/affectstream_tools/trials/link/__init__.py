"""Two hosts on one machine: the bus over a bad link, between clocks that differ. Needs root.

``link`` decides what happens to packets, ``namespaces`` makes the hosts, ``listener`` runs on one
of them; ``trial`` runs one case, ``cases`` all of them, and compares; ``report`` saves.
"""
