"""``python -m affectstream``."""

from affectstream.cli import main

main()
