"""How a command line begins and ends: its log, its errors, a reader that goes away.

Knows: that an error is one sentence, and a defect a traceback of printable lines.
Refuses to know: the commands.
"""

from __future__ import annotations

import errno
import io
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from typer.core import TyperGroup

from affectstream.commands.extras import explain_missing
from affectstream.errors import AffectstreamError
from affectstream.show.lines import PrintableFormatter, drop_output, print_line


class OutputError(AffectstreamError):
    """What a command prints reaches nobody: its reader has gone, or the disk is full."""


class CommandGroup(TyperGroup):
    """Commands that end with one sentence where their output reaches nobody."""

    def invoke(self, context: Any) -> Any:
        """Run the chosen command.

        Raises:
            OutputError: what it prints reaches nobody.
        """
        try:
            result = super().invoke(context)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise OutputError("the reader of this output has gone") from error
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OutputError(f"this output cannot be written: {error.strerror}") from error
        return result


def run_command_line(app: Callable[[], object], name: str) -> None:
    """Run a command line to the end of the process.

    An error, such as a package that is not installed, is one sentence and exit status 1.

    Args:
        app: the command line; it is made of ``CommandGroup``.
        name: how its lines on standard error begin.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(f"{name}: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # not every terminal has every letter
    threading.excepthook = _say_defect_of_thread
    try:
        app()
    except ModuleNotFoundError as error:
        message = explain_missing(error)
        _end(*([f"{name}: {message}"] if message else _traceback(error)))
    except AffectstreamError as error:
        _end(f"{name}: {error}")
    except Exception as error:  # noqa: BLE001 - a defect; what strangers wrote may be in it
        _end(*_traceback(error))


def _say_defect_of_thread(defect: threading.ExceptHookArgs) -> None:
    if defect.exc_value is not None:
        for line in _traceback(defect.exc_value):
            print_line(line, to_error=True)


def _traceback(error: BaseException) -> list[str]:
    return "".join(traceback.format_exception(error)).splitlines()


def _end(*lines: str) -> NoReturn:
    drop_output()
    for line in lines:
        print_line(line, to_error=True)
    raise SystemExit(1)
