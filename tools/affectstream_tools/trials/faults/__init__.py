"""Kills the processes of a replay at random moments, and compares what a subscriber was told.

``injection`` plays and kills, ``events`` compares, ``report`` counts and saves.
"""
