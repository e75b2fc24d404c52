"""``python -m affectstream``."""

from affectstream.commands.app import main

main()
