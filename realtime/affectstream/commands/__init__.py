"""The command line: ``app`` has every command's options, and imports what it runs when it runs.

What a command does lies in the file of its name; the workers, one process each, in ``workers``.
"""
