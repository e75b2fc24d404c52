"""A deployment: which workers run where, described by one TOML file.

Knows: the file, what may stand in it, and which command each worker becomes.
Refuses to know: the commands' options, which it is given, and how workers are kept running
(``supervisor``).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec

from affectstream.bus import DEFAULT_ADDRESS
from affectstream.core.restart_policy import RestartPolicy, When
from affectstream.errors import UsageError, brief
from affectstream.timebase import NS_PER_S, seconds_to_ns

ENDLESS_COMMANDS = ("hub", "fusion", "microphone", "transcribe")
"""These run for ever; one that ends without being told to is started again."""
RECORDINGS = ("play", "mocap")
"""These begin together; one that is restarted goes on where it would be by then."""
WORKER_KINDS = (*ENDLESS_COMMANDS, *RECORDINGS, "replay")
ESSENTIAL_COMMANDS = ("hub", "fusion")
LEAD_NS = 2 * NS_PER_S
"""Head start of the recordings, so that every worker runs before they begin."""
_LONGEST_WRONG = 400
"""Characters of an error message; a longer one, as where a name is very long, is cut."""
REFERENCE = "docs/deployment.md says what may stand there"

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
WorkerName = Annotated[str, msgspec.Meta(min_length=1)]
Whole = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
OptionValue = str | Whole | float | bool | list[str | Whole | float]


class Restart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How workers are started again; what is missing is as in ``RestartPolicy``."""

    when: When | None = None
    first_wait_s: Positive | None = None
    longest_wait_s: Positive | None = None
    good_s: Positive | None = None
    failures: Count | None = None
    window_s: Positive | None = None
    start_s: Positive | None = None
    silent_s: Positive | None = None


class WorkerLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker may use."""

    memory_mib: Positive | None = None
    open_files: Annotated[int, msgspec.Meta(ge=32)] | None = None


class WorkerTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ``[[worker]]``."""

    kind: str
    name: WorkerName
    host: WorkerName | None = None
    essential: bool | None = None
    options: dict[str, OptionValue] = {}
    restart: Restart = Restart()
    limits: WorkerLimits = WorkerLimits()


class DeploymentFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    address: str = DEFAULT_ADDRESS
    keys: WorkerName | None = None
    journal: WorkerName | None = None
    restart: Restart = Restart()
    limits: WorkerLimits = WorkerLimits()
    worker: Annotated[list[WorkerTable], msgspec.Meta(min_length=1)]


class Parameter(Protocol):
    """An option or argument of a command, as click has it."""

    name: str
    opts: list[str]
    secondary_opts: list[str]
    param_type_name: str


class Command(Protocol):
    """A command, as click has it."""

    params: Sequence[Any]

    def make_context(self, info_name: str, args: list[str]) -> object:
        """Read ``args`` as the command would, without running it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWorker:
    """A worker of this host, ready to be started.

    Attributes:
        arguments: of ``affectstream``.
        again: what is added to them after a restart.
    """

    name: str
    arguments: tuple[str, ...]
    again: tuple[str, ...]
    policy: RestartPolicy
    open_files: int | None


class DeploymentReader:
    """Reads a deployment and plans its workers.

    Args:
        path: the file.
        commands: this program's commands by name.
        refusal: what they raise when their arguments are wrong; it has ``format_message``.
    """

    def __init__(
        self, path: Path, commands: Mapping[str, Command], refusal: type[Exception]
    ) -> None:
        self._path, self._commands, self._refusal = path, commands, refusal

    def read(self) -> DeploymentFile:
        """Read the file.

        Raises:
            UsageError: it is missing, no TOML, or has what may not stand there.
        """
        try:
            table = tomllib.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise self._wrong("does not exist; name a deployment's TOML file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise self._wrong(f"cannot be read ({error}); name a TOML file") from error
        except (ValueError, RecursionError) as error:  # not all of it is a TOMLDecodeError
            raise self._wrong(f"is no TOML ({brief(error)}); mend that line") from error
        try:
            file = msgspec.convert(table, DeploymentFile)
        except msgspec.ValidationError as error:
            said = str(error).replace("Object contains unknown field", "there is no key")
            said = brief(said.replace("Object missing required field", "it lacks the key"))
            raise self._wrong(f"{said.replace('$.', '')}; {REFERENCE}") from None
        seen: set[str] = set()
        for worker in file.worker:
            if worker.name in seen:
                raise self._wrong(f"two workers are named {worker.name}; give each its own name")
            seen.add(worker.name)
        return file

    def plan(self, host: str, start_ns: int) -> list[PlannedWorker]:
        """Return the workers that run on ``host``.

        Args:
            host: as in the file; a file that names no hosts describes one, whatever its name.
            start_ns: event time at which recordings begin that do not say so themselves.

        Raises:
            UsageError: as ``read``, or a worker cannot be as it is described.
        """
        file = self.read()
        planned = [(w, self._planned(file, w, start_ns)) for w in file.worker]  # all are checked
        hosts = sorted({w.host for w in file.worker if w.host is not None})
        if not hosts:
            return [worker for _, worker in planned]
        homeless = [w.name for w in file.worker if w.host is None]
        if homeless:
            raise self._wrong(
                f"worker {homeless[0]}: it has no host, but others do; add host = {hosts[0]!r}, say"
            )
        if host not in hosts:
            raise self._wrong(
                f"nothing runs on the host {host}; pass --host with one of {', '.join(hosts)}"
            )
        return [worker for table, worker in planned if table.host == host]

    def _planned(self, file: DeploymentFile, table: WorkerTable, start_ns: int) -> PlannedWorker:
        command = self._commands.get(table.kind)
        if command is None or table.kind not in WORKER_KINDS:
            kinds = ", ".join(WORKER_KINDS)
            raise self._wrong(
                f"worker {table.name}: {table.kind!r} is no kind; choose one of {kinds}"
            )
        options: dict[str, OptionValue] = {"address": file.address}
        if file.keys is not None:
            options["keys"] = file.keys
        if file.journal is not None and table.kind == "fusion":
            options["journal"] = file.journal
        if table.kind in RECORDINGS:
            options["start-ns"] = start_ns
        arguments = self._arguments(table, command, options | table.options)
        try:
            command.make_context(table.kind, list(arguments))
        except self._refusal as error:
            said = error.format_message().rstrip(".")  # type: ignore[attr-defined]
            help_with = f"see `affectstream {table.kind} --help`"
            raise self._wrong(f"worker {table.name}: {said}; {help_with}") from None
        return PlannedWorker(
            name=table.name,
            arguments=(table.kind, *arguments),
            again=("--resume",) if table.kind in RECORDINGS else (),
            policy=_policy(file, table),
            open_files=table.limits.open_files or file.limits.open_files,
        )

    def _arguments(
        self, table: WorkerTable, command: Command, options: Mapping[str, OptionValue]
    ) -> tuple[str, ...]:
        """Return ``options`` as on the command line, positional ones behind ``--``."""
        known: dict[str, Parameter] = {
            (p.opts[0].removeprefix("--") if p.opts else p.name): p for p in command.params
        }
        named: list[str] = []
        positional: list[str] = []
        for name, value in options.items():
            parameter = known.get(name)
            if parameter is None:
                raise self._wrong(
                    f"worker {table.name}: {table.kind} has no option {name!r}; "
                    f"choose from {', '.join(sorted(known))}"
                )
            values = value if isinstance(value, list) else [value]
            if parameter.param_type_name == "argument":
                positional += map(str, values)
            elif isinstance(value, bool):
                off = parameter.secondary_opts[:1]
                named += parameter.opts[:1] if value else off
            else:
                named += [f"--{name}={one}" for one in values]
        return (*named, *(("--", *positional) if positional else ()))

    def _wrong(self, what: str) -> UsageError:
        return UsageError(f"{self._path}: {brief(what, _LONGEST_WRONG)}")


def _policy(file: DeploymentFile, table: WorkerTable) -> RestartPolicy:
    """Return the worker's own policy over the file's over the defaults."""
    default_when: When = "always" if table.kind in ENDLESS_COMMANDS else "on-failure"
    known: dict[str, Any] = {"when": default_when, "essential": table.kind in ESSENTIAL_COMMANDS}
    for restart in (file.restart, table.restart):
        for name, value in msgspec.structs.asdict(restart).items():
            if value is None:
                continue
            if name.endswith("_s"):
                known[name.removesuffix("_s") + "_ns"] = seconds_to_ns(value)
            else:
                known[name] = value
    if table.essential is not None:
        known["essential"] = table.essential
    known["memory_mib"] = table.limits.memory_mib or file.limits.memory_mib
    return RestartPolicy(**known)
