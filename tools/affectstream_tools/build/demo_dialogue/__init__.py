"""Makes the dialogue of ``affectstream demo``: espeak-ng's voices and made-up faces.

Run ``python -m affectstream_tools.build.demo_dialogue.build --out DIR``.
"""
