"""The context study's report as files: ``context-<protocol>.json``, ``.md`` and ``.png``."""

from __future__ import annotations

import json
from pathlib import Path

from affectstream.errors import AffectstreamError
from affectstream_tools.jobs.folders import check_reports, write_whole
from affectstream_tools.jobs.saved_reports import NoReportError, markdown_table
from affectstream_tools.studies.context.report import (
    ContextReport,
    class_rows,
    context_remarks,
    task_rows,
)


def save_context_report(report: ContextReport, folder: Path) -> list[Path]:
    """Write the three files; return their paths.

    Raises:
        AffectstreamError: they cannot be written.
    """
    from affectstream_tools.studies.context.plot import plot_context

    stem = f"context-{report['protocol']}"
    classes, tasks = class_rows(report), task_rows(report)
    text = "\n\n".join(
        [
            f"# The context model, {report['protocol']} protocol",
            *(["A trial on a few dialogues: no result."] if report["small"] else []),
            *context_remarks(report),
            markdown_table(classes[0], classes[1:]),
            f"![UAR by look-ahead, and what is taken for what]({stem}.png)",
            "Three levels of the scales and clusters of valence and activation: F1 as Wöllmer et "
            "al. (2010) average it, mean over sessions.",
            markdown_table(tasks[0], tasks[1:]),
            f"Made {report['date']} by `{report['command']}` on {report['machine']}; "
            f"{report['cost']['jobs']} jobs, {report['cost']['wall_s']:.0f} s together, at most "
            f"{report['cost']['peak_mib']:.0f} MiB each.",
        ]
    )
    check_reports(*(folder / f"{stem}.{suffix}" for suffix in ("json", "md", "png")))
    return [
        write_whole(folder / f"{stem}.json", json.dumps(report, indent=1) + "\n"),
        write_whole(folder / f"{stem}.md", text + "\n"),
        plot_context(report, folder / f"{stem}.png"),
    ]


def load_context_report(folder: Path, protocol: str) -> ContextReport:
    """Return the saved report.

    Raises:
        AffectstreamError: there is none, or it is not ours.
    """
    path = folder / f"context-{protocol}.json"
    try:
        found: ContextReport = json.loads(path.read_text(encoding="utf-8"))
        context_remarks(found), class_rows(found), task_rows(found)  # all that is shown of it
    except FileNotFoundError as error:
        raise NoReportError(f"no report of protocol {protocol}", folder) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AffectstreamError(f"{path} is no report of ours ({error}); remove it") from error
    return found
