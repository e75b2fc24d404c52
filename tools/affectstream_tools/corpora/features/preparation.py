"""A corpus's features: extracted once, in parallel, kept on disk.

Features are kept under a key of the utterances' times, of each recording's size and time stamp, and
of the front end's version. Where one of these changes, the features that depend on it are extracted
again, and no others. One dialogue is finished at a time, so that a run that was killed goes on
where it was.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from affectstream.corpus.dialogues import Corpus, CorpusDialogue
from affectstream.timebase import ns_to_seconds
from affectstream_tools.corpora.features.extraction import (
    FRONT_ENDS,
    MOTION_FRONT_ENDS,
    SPEECH_FRONT_ENDS,
    extract_dialogue,
)
from affectstream_tools.corpora.features.feature_store import FeatureStore, StoredAbout
from affectstream_tools.corpora.features.front_end_versions import front_end_version
from affectstream_tools.corpora.features.utterance_features import UtteranceFeatures


@dataclass(frozen=True, slots=True)
class Step:
    """The progress of a preparation.

    Attributes:
        dialogue: the one that was finished; empty before the first.
        done_s, total_s: length of the utterances, in dialogues that were not stored yet.
    """

    dialogue: str
    done_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class _Task:
    """A dialogue and the front ends that it lacks, each with its key."""

    folder: Path
    dialogue: CorpusDialogue
    keys: dict[str, str]

    @property
    def length_s(self) -> float:
        return ns_to_seconds(sum(u.end_ns - u.start_ns for u in self.dialogue.utterances))


def prepare_features(
    corpus: Corpus,
    front_ends: Sequence[str],
    cache: Path,
    workers: int = 1,
    on_done: Callable[[Step], None] = lambda step: None,
) -> UtteranceFeatures:
    """Extract what of ``front_ends`` is not in ``cache`` yet.

    Args:
        front_ends: some of ``extraction.FRONT_ENDS``. Those that the corpus cannot give are named
            in the result; nothing is raised for them.
        cache: a folder; features of several corpora may lie in it.
        workers: processes; 1 is this one.

    Raises:
        ValueError: there is no such front end, or no worker.
        OSError: the cache cannot be written.
    """
    _check(front_ends, workers)
    began_s = time.perf_counter()
    names = tuple(dict.fromkeys(front_ends))
    impossible = {name: why for name in names if (why := _impossible(corpus, name))}
    # The derived set's statistics are in its utterances: nothing is extracted or stored.
    wanted = [] if corpus.kind == "derived" else [name for name in names if name not in impossible]
    store = FeatureStore(_folder(corpus, cache))
    store.clear_left_overs()
    keys = {(n, d.id): _key(d, n) for d in corpus.dialogues for n in wanted}
    about = _kept(store, keys)
    tasks = _tasks(corpus, store, {at: key for at, key in keys.items() if at not in about})
    for task in _run(tasks, workers, on_done):
        about |= _written(store, task)
    made = Counter(name for task in tasks for name in task.keys)
    return UtteranceFeatures(
        corpus=corpus,
        front_ends=names,
        impossible=impossible,
        made={name: made[name] for name in wanted},
        kept={name: len(corpus.dialogues) - made[name] for name in wanted},
        extracted_s=sum(task.length_s for task in tasks),
        wall_s=time.perf_counter() - began_s,
        store=store,
        about=about,
    )


def _check(front_ends: Sequence[str], workers: int) -> None:
    if unknown := [name for name in front_ends if name not in FRONT_ENDS]:
        raise ValueError(f"no front end {unknown[0]!r}; name some of {', '.join(FRONT_ENDS)}")
    if workers < 1:
        raise ValueError(f"{workers} workers do nothing; give 1 or more")


def possible_front_ends(corpus: Corpus) -> tuple[str, ...]:
    """Return those front ends that a corpus can give, for some of its utterances at least."""
    return tuple(name for name in FRONT_ENDS if _impossible(corpus, name) is None)


def _impossible(corpus: Corpus, front_end: str) -> str | None:
    recordings = [d.recording for d in corpus.dialogues if d.recording is not None]
    if corpus.kind == "derived":
        if front_end == "egemaps47":
            return None
        return (
            f"the derived set holds statistics and words, no recordings, so that {front_end} "
            "cannot be made; name a raw copy of IEMOCAP"
        )
    if front_end in SPEECH_FRONT_ENDS and not any(r.wav or r.clips for r in recordings):
        return f"{corpus.path} holds no sound, so that {front_end} cannot be made"
    if front_end in MOTION_FRONT_ENDS and not any(r.mocap or r.mocap_clips for r in recordings):
        return f"{corpus.path} holds no motion capture, so that {front_end} cannot be made"
    return None


def _folder(corpus: Corpus, cache: Path) -> Path:
    place = corpus.path.resolve()
    digest = hashlib.sha256(str(place).encode()).hexdigest()
    return cache / "features" / f"{place.name}-{digest[:12]}"


def _key(dialogue: CorpusDialogue, front_end: str) -> str:
    """Return a digest of all that a dialogue's features depend on."""
    recording = dialogue.recording
    files: list[Path] = []
    if recording is not None and front_end in SPEECH_FRONT_ENDS:
        files = [recording.wav] if recording.wav else list(recording.clips.values())
    elif recording is not None:
        alone = [path for paths in recording.mocap_clips.values() for path in paths]
        files = [*recording.mocap, *alone]
    identity = [
        front_end_version(front_end),
        [(u.id, u.speaker, u.start_ns, u.end_ns) for u in dialogue.utterances],
        [_stamp(path) for path in files],
    ]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        state = path.stat()
    except OSError:
        return path.name, -1, -1
    return path.name, state.st_size, state.st_mtime_ns


def _kept(
    store: FeatureStore, keys: dict[tuple[str, str], str]
) -> dict[tuple[str, str], StoredAbout]:
    """Return what is stored already, by front end and dialogue."""
    found = {at: store.about(store.path(*at), key) for at, key in keys.items()}
    return {at: about for at, about in found.items() if about is not None}


def _written(store: FeatureStore, task: _Task) -> dict[tuple[str, str], StoredAbout]:
    """Read back what a task has written."""
    found = {}
    for name, key in task.keys.items():
        path = store.path(name, task.dialogue.id)
        about = store.about(path, key)
        if about is None:
            raise OSError(f"{path} was written and cannot be read back")
        found[name, task.dialogue.id] = about
    return found


def _tasks(corpus: Corpus, store: FeatureStore, lacking: dict[tuple[str, str], str]) -> list[_Task]:
    """Return what is to be done, the longest first, so that no worker ends much after the rest."""
    keys: dict[str, dict[str, str]] = defaultdict(dict)
    for (name, dialogue), key in lacking.items():
        keys[dialogue][name] = key
    tasks = [_Task(store.folder, d, keys[d.id]) for d in corpus.dialogues if d.id in keys]
    return sorted(tasks, key=lambda task: -task.length_s)


def _run(tasks: Sequence[_Task], workers: int, on_done: Callable[[Step], None]) -> Iterator[_Task]:
    total_s, done_s = sum(task.length_s for task in tasks), 0.0
    on_done(Step("", 0.0, total_s))
    for task in map(_work, tasks) if workers == 1 else _in_parallel(tasks, workers):
        done_s += task.length_s
        on_done(Step(task.dialogue.id, done_s, total_s))
        yield task


def _in_parallel(tasks: Sequence[_Task], workers: int) -> Iterator[_Task]:
    if not tasks:
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), spawn, initializer=_begin_worker)
    try:
        futures = [pool.submit(_work, task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _work(task: _Task) -> _Task:
    store = FeatureStore(task.folder)
    for name, found in extract_dialogue(task.dialogue, task.keys).items():
        store.write(store.path(name, task.dialogue.id), task.keys[name], found)
    return task


def _begin_worker() -> None:
    """Use one thread; end with the parent, however it ends, and where the user interrupts."""
    threadpool_limits(1)  # the workers keep the processors busy
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_it() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_it, daemon=True).start()
