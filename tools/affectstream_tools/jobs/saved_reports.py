"""Reports that are saved and read again: JSON for programs, pages and pictures for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import msgspec

from affectstream.errors import AffectstreamError
from affectstream.show.picture_file import save_picture
from affectstream_tools.jobs.folders import check_reports, write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPORTS_URL = "https://github.com/affectstream/affectstream/tree/main/docs/reports"
"""The project's own reports; an installed package has none of them."""


class _Report(Protocol):
    def to_dict(self) -> dict[str, Any]: ...


Report = TypeVar("Report", bound=_Report)


class NoReportError(AffectstreamError):
    """A report that is not there; the message says where the project's own reports are.

    Args:
        what: what is missing, such as "no report of t1".
        folder: where it was looked for.
    """

    def __init__(self, what: str, folder: Path) -> None:
        super().__init__(
            f"{what} is saved in {folder.absolute()}, where reports are looked for; name another "
            f"folder with --out (the project's own reports are in {REPORTS_URL}), or run the "
            "command without --report first"
        )


@dataclass(frozen=True, slots=True)
class ReportFile(Generic[Report]):
    """How the reports of one command are kept in a folder.

    Attributes:
        name: of the files: ``<name>.json`` and ``<name>.md``.
        kind: the report's class: a dataclass of values that JSON can hold. Its ``to_dict`` has
            all of its fields, and may have more.
        page: writes a report as Markdown.
    """

    name: str
    kind: type[Report]
    page: Callable[[Report], str]

    def save(self, report: Report, folder: Path) -> list[Path]:
        """Write the report; return the files.

        Raises:
            AffectstreamError: they cannot be written.
        """
        found, page = folder / f"{self.name}.json", folder / f"{self.name}.md"
        check_reports(found, page)
        return [
            write_whole(found, json.dumps(report.to_dict(), indent=1) + "\n"),
            write_whole(page, self.page(report)),
        ]

    def load(self, folder: Path) -> Report:
        """Return the report that was saved.

        Raises:
            AffectstreamError: there is none, or the file holds something else.
        """
        path = folder / f"{self.name}.json"
        try:
            return msgspec.convert(json.loads(path.read_text(encoding="utf-8")), self.kind)
        except FileNotFoundError as error:
            raise NoReportError("no report", folder) from error
        except (OSError, ValueError) as error:
            raise AffectstreamError(f"{path} is no report of ours ({error}); remove it") from error


@dataclass(frozen=True, slots=True)
class ReportTable:
    """What is printed of a report, and stands on its page.

    Attributes:
        rows: cells under ``headings``.
        remarks: what must be said beside the table, a sentence or more each.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    remarks: Sequence[str] = ()


def markdown_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, names: int = 1
) -> str:
    """Return a Markdown table: its first ``names`` columns aligned left, the others right."""
    rule = "|---" * names + "|--:" * (len(headings) - names) + "|"
    escaped = [[cell.replace("|", r"\|") for cell in cells] for cells in (headings, *rows)]
    lines = ["| " + " | ".join(cells) + " |" for cells in escaped]
    return "\n".join((lines[0], rule, *lines[1:]))


def write_picture(path: Path, figure: Figure, dpi: int) -> Path:
    """Write a figure as a PNG of ``dpi`` pixels an inch; return its path.

    Raises:
        AffectstreamError: it cannot be written, or something else is there already.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(figure, path, dpi=dpi)
    except OSError as error:
        raise AffectstreamError(
            f"{path} cannot be written ({error.strerror}); choose another folder"
        ) from error
    return path
