"""``python -m affectstream_tools.vosk_tiny``."""

from affectstream_tools.vosk_tiny.cli import application

application()
