"""A deployment's file: what may stand in it, what it becomes, and how a mistake is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.main import get_command

from affectstream.commands.app import app
from affectstream.core.restart_policy import RestartPolicy
from affectstream.errors import UsageError
from affectstream.run.deployment import DeploymentReader, PlannedWorker
from command_lines import ROOT

S = 1_000_000_000
HUB = '[[worker]]\nkind = "hub"\nname = "hub"\n'
FACE = '[[worker]]\nkind = "mocap"\nname = "face"\noptions = { paths = ["a.csv", "b.csv"] }\n'


def plan(folder: Path, text: str, host: str = "here") -> list[PlannedWorker]:
    path = folder / "d.toml"
    path.write_text(text, encoding="utf-8")
    commands = getattr(get_command(app), "commands")  # noqa: B009 - of a group
    return DeploymentReader(path, commands, typer.BadParameter.__mro__[2]).plan(host, 7)


def wrong(folder: Path, text: str, host: str = "here") -> str:
    with pytest.raises(UsageError) as caught:
        plan(folder, text, host)
    said = str(caught.value)
    assert said.startswith(f"{folder / 'd.toml'}: ")
    assert "\n" not in said
    return said.removeprefix(f"{folder / 'd.toml'}: ")


def test_a_worker_becomes_its_command(tmp_path: Path) -> None:
    text = f'address = "tcp://127.0.0.1:6000"\n{HUB}{FACE}'
    hub, face = plan(tmp_path, text)
    assert hub.arguments == ("hub", "--address=tcp://127.0.0.1:6000")
    where = ("--address=tcp://127.0.0.1:6000", "--start-ns=7")
    assert face.arguments == ("mocap", *where, "--", "a.csv", "b.csv")
    assert (hub.again, face.again) == ((), ("--resume",))


def test_options_are_those_of_the_command_line(tmp_path: Path) -> None:
    options = 'hub = false, look-ahead = "all", address = "ipc:///tmp/x"'
    table = f'[[worker]]\nkind = "fusion"\nname = "f"\noptions = {{ {options} }}\n'
    (fusion,) = plan(tmp_path, table)
    expected = ("fusion", "--address=ipc:///tmp/x", "--no-hub", "--look-ahead=all")
    assert fusion.arguments == expected


def test_a_journal_is_the_node_s(tmp_path: Path) -> None:
    node = '[[worker]]\nkind = "fusion"\nname = "node"\n'
    hub, fusion = plan(tmp_path, f'journal = "j.sqlite"\n{HUB}{node}')
    assert not [word for word in hub.arguments if "journal" in word]
    assert "--journal=j.sqlite" in fusion.arguments


def test_by_default_what_has_no_end_runs_always_and_the_run_needs_hub_and_node(
    tmp_path: Path,
) -> None:
    hub, face = plan(tmp_path, HUB + FACE)
    assert hub.policy == RestartPolicy(when="always", essential=True)
    assert face.policy == RestartPolicy()
    assert hub.open_files is None


def test_a_worker_s_own_policy_and_limits_win(tmp_path: Path) -> None:
    text = (
        "[restart]\nfailures = 9\nsilent_s = 2.5\n[limits]\nmemory_mib = 300\nopen_files = 99\n"
        + HUB
        + 'essential = false\nrestart = { failures = 2, when = "never" }\n'
        + "limits = { memory_mib = 100 }\n"
        + FACE
    )
    hub, face = plan(tmp_path, text)
    assert hub.policy == RestartPolicy(
        when="never", failures=2, silent_ns=25 * S // 10, memory_mib=100
    )
    assert face.policy == RestartPolicy(failures=9, silent_ns=25 * S // 10, memory_mib=300)
    assert (hub.open_files, face.open_files) == (99, 99)


def test_one_file_describes_two_hosts(tmp_path: Path) -> None:
    text = f'{HUB}host = "desk"\n{FACE}host = "lab"\n'
    assert [w.name for w in plan(tmp_path, text, "desk")] == ["hub"]
    assert [w.name for w in plan(tmp_path, text, "lab")] == ["face"]
    assert wrong(tmp_path, text, "moon").endswith("pass --host with one of desk, lab")
    homeless = f'{HUB}host = "desk"\n{FACE}'
    assert wrong(tmp_path, homeless, "desk").startswith("worker face: it has no host")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[worker", "is no TOML"),
        ("", "it lacks the key `worker`"),
        ("worker = []", "length >= 1"),
        (HUB + "sped = 1", "there is no key `sped` - at `worker[0]`"),
        (HUB + "[limits]\nmemory_mib = 0", "> 0"),
        (HUB + 'restart = { when = "often" }', "Invalid enum value 'often'"),
        (HUB + HUB, "two workers are named hub; give each its own name"),
        (HUB.replace('"hub"', '"hbu"', 1), "'hbu' is no kind; choose one of hub, fusion"),
        (HUB.replace('"hub"', '"doctor"', 1), "'doctor' is no kind"),
        (HUB + "options = { speker = 1 }", "hub has no option 'speker'; choose from address"),
        (FACE.replace("}", ', speed = 1, start-ns = "x" }'), "'--start-ns'"),
        (FACE.replace('["a.csv", "b.csv"]', "[]"), "Missing argument"),
    ],
)
def test_a_mistake_is_said_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    assert said in wrong(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5_000,
        "a = " + "9" * 5_000,
        f"{'x' * 9_000} = 1",
        HUB + f"options = {{ address = 0x{'F' * 5_000} }}",
    ],
)
def test_a_mistake_however_long_is_said_in_one_sentence(tmp_path: Path, text: str) -> None:
    assert len(wrong(tmp_path, text)) < 600 + len(str(tmp_path))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        DeploymentReader(tmp_path / "nowhere.toml", {}, ValueError).read()


def test_the_example_can_be_run() -> None:
    path = ROOT / "examples" / "deployment.toml"
    commands = getattr(get_command(app), "commands")  # noqa: B009 - of a group
    planned = DeploymentReader(path, commands, typer.BadParameter.__mro__[2]).plan("here", 7)
    assert [worker.arguments[0] for worker in planned] == [
        "fusion",
        "microphone",
        "microphone",
        "transcribe",
    ]
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
