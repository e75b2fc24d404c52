"""Key files: made, checked, changed; nothing secret is shown, and nothing is overwritten."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from affectstream.bus.keys import (
    MAX_FILE_BYTES,
    Peer,
    SecurityError,
    allow,
    new_keys,
    open_keys,
    read_allowed,
    revoke,
    trust_hub,
)
from affectstream.commands.app import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    new_keys(tmp_path / "keys")
    return tmp_path / "keys"


def somebody(tmp_path: Path, name: str = "else") -> str:
    return new_keys(tmp_path / name).public.decode()


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_new_keys_are_their_owners_alone(tmp_path: Path) -> None:
    hub = somebody(tmp_path)
    previous = os.umask(0)  # the widest
    try:
        keys = new_keys(tmp_path / "a" / "keys", hub)
        allow(keys.folder, "laptop", somebody(tmp_path, "laptop"))
    finally:
        os.umask(previous)
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700
    names = {path.name for path in keys.folder.iterdir()}
    assert names == {"allowed", "hub.key", "secret.key"}
    assert modes(keys.folder) == {0o600}
    assert keys.hub.decode() == hub
    assert open_keys(keys.folder) == keys


def test_a_hub_without_another_to_trust_is_its_own(folder: Path) -> None:
    keys = open_keys(folder)
    assert keys.hub == keys.public
    assert not keys.public.startswith(b"-")


def test_the_secret_is_not_in_what_is_printed_of_keys(folder: Path) -> None:
    keys = open_keys(folder)
    assert keys.secret.decode() not in repr(keys)
    assert "secret=" not in repr(keys)


def test_keys_are_never_overwritten(folder: Path) -> None:
    before = (folder / "secret.key").read_bytes()
    with pytest.raises(SecurityError, match="never overwritten"):
        new_keys(folder)
    assert (folder / "secret.key").read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
@pytest.mark.parametrize("name", ["secret.key", "hub.key", "allowed"])
def test_a_file_that_others_can_read_or_change_is_refused_with_the_remedy(
    folder: Path, tmp_path: Path, name: str, mode: int
) -> None:
    other = somebody(tmp_path)
    trust_hub(folder, other)
    allow(folder, "laptop", other)
    (folder / name).chmod(mode)
    with pytest.raises(SecurityError, match=rf"others can look into .*{name}; chmod 600 "):
        read_allowed(open_keys(folder).folder)


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_folder_that_others_can_look_into_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(SecurityError, match="chmod 700"):
        open_keys(folder)


def test_a_list_as_large_as_may_be_is_read_and_a_larger_one_refused(folder: Path) -> None:
    path = folder / "allowed"
    path.touch(mode=0o600)
    path.write_text("#" * (MAX_FILE_BYTES - 1) + "\n")
    assert read_allowed(folder) == []
    with path.open("a") as file:
        file.write("\n")
    with pytest.raises(SecurityError, match="is larger than any list of keys; see what it is"):
        read_allowed(folder)


def test_files_of_somebody_else_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(SecurityError, match="belongs to another user"):
        open_keys(folder)


def test_a_folder_without_keys_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match=r"affectstream keys new --keys"):
        open_keys(tmp_path / "none")


def test_what_is_cut_off_or_mangled_is_no_key(folder: Path) -> None:
    good = open_keys(folder).public.decode()
    for bad in ("", good[:-1], good + "a", "~" * 40, "é" * 20, "#" * 40, "secret.key"):
        with pytest.raises(SecurityError, match="is not a key of 40 characters"):
            trust_hub(folder, bad)
        with pytest.raises(SecurityError, match="is not a key of 40 characters"):
            allow(folder, "laptop", bad)
    (folder / "secret.key").write_text("nonsense")
    with pytest.raises(SecurityError, match="not a key"):
        open_keys(folder)


def test_the_list_is_changed_by_name_or_key_and_kept_in_order(folder: Path, tmp_path: Path) -> None:
    keys = {name: somebody(tmp_path, name) for name in ("one", "two", "three")}
    for name, key in keys.items():
        allow(folder, name, key)
    assert [peer.name for peer in read_allowed(folder)] == list(keys)
    assert revoke(folder, "two").key.decode() == keys["two"]
    assert revoke(folder, keys["three"]).name == "three"
    assert read_allowed(folder) == [Peer("one", keys["one"].encode())]
    with pytest.raises(SecurityError, match="is not on the list"):
        revoke(folder, "two")
    allow(folder, "one", keys["one"], "subscribe")  # the same again: its role is changed
    assert read_allowed(folder) == [Peer("one", keys["one"].encode(), "subscribe")]
    assert not list(folder.glob(".allowed*"))


def test_a_name_has_one_key_and_a_key_one_name(folder: Path, tmp_path: Path) -> None:
    first, second = somebody(tmp_path, "one"), somebody(tmp_path, "two")
    allow(folder, "one", first)
    with pytest.raises(SecurityError, match="one has another key"):
        allow(folder, "one", second)
    with pytest.raises(SecurityError, match="one has that key"):
        allow(folder, "two", first)
    with pytest.raises(SecurityError, match="own key"):
        allow(folder, "me", open_keys(folder).public.decode())


@pytest.mark.parametrize("name", ["", "hub", "a b", "a/b", "a\nb", "#a", "x" * 121])
def test_what_cannot_be_a_name_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(SecurityError, match="cannot be a name"):
        allow(folder, name, somebody(tmp_path))
    with pytest.raises(SecurityError, match="is not a role"):
        allow(folder, "laptop", somebody(tmp_path, "other"), "everything")


def test_a_list_edited_by_hand_may_have_comments_and_bad_lines_are_named(
    folder: Path, tmp_path: Path
) -> None:
    key = somebody(tmp_path)
    (folder / "allowed").touch(mode=0o600)
    (folder / "allowed").write_text(f"# who gets in\n\nlaptop {key} both\n")
    assert read_allowed(folder) == [Peer("laptop", key.encode())]
    (folder / "allowed").write_text(f"laptop {key}\n")
    with pytest.raises(SecurityError, match="line 1 is not"):
        read_allowed(folder)


def test_two_programs_that_change_the_list_at_once_lose_nothing(
    folder: Path, tmp_path: Path
) -> None:
    keys = {f"peer{n}": somebody(tmp_path, f"peer{n}") for n in range(8)}
    threads = [threading.Thread(target=allow, args=(folder, *pair)) for pair in keys.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {peer.name for peer in read_allowed(folder)} == set(keys)


# The commands


def keys(*words: str) -> Result:
    return CliRunner().invoke(app, ["keys", *words])


def test_the_recipe_of_two_hosts_by_the_commands(tmp_path: Path) -> None:
    hub, laptop = str(tmp_path / "hub"), str(tmp_path / "laptop")
    made = keys("new", "--keys", hub)
    hub_key = made.stdout.strip()
    assert f"affectstream keys new --hub '{hub_key}'" in made.stderr
    made = keys("new", "--keys", laptop, "--hub", hub_key)
    key = made.stdout.strip()
    assert f"affectstream keys allow NAME '{key}'" in made.stderr
    assert keys("allow", "laptop", key, "--keys", hub).exit_code == 0
    shown = keys("show", "--keys", hub, "--json")
    assert json.loads(shown.stdout) == {
        "public": hub_key,
        "hub": hub_key,
        "allowed": [{"name": "laptop", "key": key, "role": "both"}],
    }
    shown = keys("show", "--keys", laptop)
    assert hub_key in shown.stdout
    for folder in (hub, laptop):
        secret = (Path(folder) / "secret.key").read_text().strip()
        assert all(secret not in words for words in (shown.output, made.output))
    assert keys("revoke", "laptop", "--keys", hub).exit_code == 0
    assert not read_allowed(Path(hub))


def test_the_folder_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFECTSTREAM_KEYS", str(tmp_path / "keys"))
    key = keys("new").stdout.strip()
    assert open_keys(tmp_path / "keys").public.decode() == key
    monkeypatch.delenv("AFFECTSTREAM_KEYS")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert keys("new").exit_code == 0
    assert (tmp_path / "config" / "affectstream" / "keys" / "secret.key").is_file()


@pytest.mark.parametrize(
    "words", [("show",), ("allow", "laptop", "key"), ("revoke", "laptop"), ("trust", "key")]
)
def test_without_keys_the_commands_say_what_is_wrong(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    result = keys(*words, "--keys", str(tmp_path / "none"))
    assert isinstance(result.exception, SecurityError)
