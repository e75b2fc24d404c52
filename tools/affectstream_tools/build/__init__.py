"""Makes the files that ship with the package, and README's picture.

``demo_dialogue``: the dialogue of ``affectstream demo``; ``vosk_tiny``: the tiny recogniser.
``trials.soak`` uses ``vosk_tiny``'s edit distance.
"""
