"""What a person sees: the live view in the terminal, messages in words, the picture of a recording.

Others use ``LiveView``, ``wording``, ``timeline.plot_timeline`` (needs matplotlib), and
``EventFile``, which keeps events as JSON lines.
"""
