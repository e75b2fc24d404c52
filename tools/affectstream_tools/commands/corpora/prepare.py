"""``affectstream-lab prepare``: a corpus's features, extracted once and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.commands.options import Cache
from affectstream_tools.terminal import fail, print_table, progress_bar

if TYPE_CHECKING:
    from affectstream.corpus.dialogues import Corpus
    from affectstream_tools.corpora.features.utterance_features import UtteranceFeatures

_SHOWN = 20
"""At most so many sentences about what is missing are printed; --json has all of them."""


def prepare(
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True,
            file_okay=False,
            help="Raw or derived IEMOCAP, labelled clips such as RAVDESS, or MELD's tables.",
        ),
    ],
    front_ends: Annotated[
        str,
        typer.Option(
            help="Some of egemaps47, tripathi34, woellmer, functionals-voice, mocap, "
            "face-markers, functionals-face, with commas between; all that the corpus can give."
        ),
    ] = "",
    cache: Cache = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Extract a corpus's features through the live path's front ends; go on where it ended."""
    prepared = _prepare(folder, front_ends.split(","), cache, workers)
    if len(prepared.impossible) == len(prepared.front_ends):
        fail(next(iter(prepared.impossible.values())))
    summary = _summary(prepared)
    _print(summary)
    if as_json:
        typer.echo(json.dumps(summary))


def _prepare(
    folder: Path, front_ends: list[str], cache: Path | None, workers: int
) -> UtteranceFeatures:
    from concurrent.futures.process import BrokenProcessPool

    from affectstream.errors import AffectstreamError
    from affectstream_tools.corpora.any_corpus import open_any_corpus
    from affectstream_tools.corpora.features.preparation import possible_front_ends
    from affectstream_tools.jobs.folders import cache_folder

    try:
        corpus = open_any_corpus(folder)
        names = [name.strip() for name in front_ends if name.strip()]
        names = names or list(possible_front_ends(corpus))
        if not names:
            fail(f"{folder} holds no recordings: there is nothing to extract")
        return _with_progress(corpus, names, cache or cache_folder(), workers)
    except BrokenProcessPool:
        fail("a worker was killed, perhaps for want of memory; run it again with --workers 1")
    except (AffectstreamError, ValueError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"the features cannot be kept ({error}); name another folder with --cache")


def _with_progress(
    corpus: Corpus, names: list[str], cache: Path, workers: int
) -> UtteranceFeatures:
    from affectstream_tools.corpora.features.preparation import Step
    from affectstream_tools.corpora.features.preparation import prepare_features as prepare_corpus

    with progress_bar() as bar:
        task = bar.add_task("prepare", total=None)

        def move(step: Step) -> None:
            bar.update(
                task,
                description=f"prepare {step.dialogue}",
                total=step.total_s,
                completed=step.done_s,
            )

        return prepare_corpus(corpus, names, cache, workers, move)


def _summary(prepared: UtteranceFeatures) -> dict[str, Any]:
    from affectstream_tools.corpora.any_corpus import corpus_name, count_modalities

    corpus = prepared.corpus
    done = [name for name in prepared.front_ends if name not in prepared.impossible]
    return {
        "corpus": corpus_name(corpus),
        "kind": corpus.kind,
        "dialogues": len(corpus.dialogues),
        "utterances": sum(len(dialogue.utterances) for dialogue in corpus.dialogues),
        "modalities": count_modalities(corpus.dialogues),
        "front_ends": {
            name: {
                "utterances": prepared.present(name),
                "missing": dict(prepared.missing(name).most_common()),
                "dialogues_made": prepared.made.get(name, 0),
                "dialogues_kept": prepared.kept.get(name, 0),
                "mib": round(prepared.size_bytes(name) / 2**20, 2),
            }
            for name in done
        },
        "impossible": dict(prepared.impossible),
        "warnings": list(corpus.warnings),
        "notes": prepared.notes(),
        "folder": str(prepared.store.folder),
        "extracted_s": round(prepared.extracted_s, 1),
        "wall_s": round(prepared.wall_s, 2),
        "peak_mib": _peak_mib(),
    }


def _peak_mib() -> dict[str, float]:
    """Return the most memory of this process, and of the largest of its workers."""
    import resource  # not on every system; the lab's figures are of Linux

    from affectstream_tools.jobs.job_process import peak_mib

    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"self": round(peak_mib(), 1), "worker": round(workers, 1)}


def _print(summary: dict[str, Any]) -> None:
    rows = []
    for name, row in summary["front_ends"].items():
        missing = "; ".join(f"{count}: {why}" for why, count in row["missing"].items())
        figures = (row["utterances"], row["dialogues_made"], row["mib"])
        rows.append((name, *map(str, figures), missing))
    there = ", ".join(f"{name} {count}" for name, count in summary["modalities"].items() if count)
    told = [*summary["impossible"].values(), *summary["warnings"], *summary["notes"]]
    more = [f"and {len(told) - _SHOWN} more; --json has all of them"] if told[_SHOWN:] else []
    speed = f"{summary['extracted_s']:.0f} s of speech in {summary['wall_s']:.1f} s"
    print_table(
        f"{summary['corpus']}: {summary['dialogues']} dialogues, "
        f"{summary['utterances']} utterances",
        ("front end", "utterances", "new dialogues", "MiB", "missing"),
        rows,
        (f"utterances with: {there}", *told[:_SHOWN], *more, speed, summary["folder"]),
        width=100,
    )
