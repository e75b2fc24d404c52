"""Fuzzing: generated and spoiled input for the codec, the bus, the fusion node and the readers.

``targets`` has a class for each part that is fuzzed, ``all_targets`` their names; ``runs`` gives
them cases and notes defects; ``messages``, ``frames`` and ``spoiling`` make the input.
"""
