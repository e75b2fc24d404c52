"""``python -m affectstream_tools.build.vosk_tiny``."""

from affectstream_tools.build.vosk_tiny.cli import application

application()
