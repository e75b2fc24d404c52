"""Words as strangers write them to command a terminal, or to forge a line of a log."""

from __future__ import annotations

HOSTILE = [
    "\x1b[2J\x1b[H",  # clears the screen
    "\x1b]0;your bank\x07",  # the window's title
    "\x1b]52;c;cm0gLXJmIH4=\x07",  # the clipboard
    "\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",  # a link
    "\x9b31m\x9d0;title\x9c",  # the same by control characters of one byte in Latin-1
    "\u202egnp.exe\u2066",  # turns the direction of writing
    "anna\naffectstream: all is well",
    "anna\r\n-- s1: lost 7 audio",
    "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g",
    "\x00\x07\x08\x7f",
    "half a pair \ud83d",
    "[bold red]s[/bold red] [link=http://evil.example]l[/link] :bomb: $x_$",
    "\ufeff\u00ad\U000e0041",
]


def shown_safely(screen: str) -> bool:
    """Return whether every line of it is printable, so that no terminal obeys it."""
    return all(line.isprintable() for line in screen.split("\n"))
