"""The command ``affectstream-lab``: a file for each command; ``app`` puts them together.

A command has the options and the printing; what it prints is computed in the other rooms.
Nothing imports this room.
"""
