"""Keys: who this host is, which hub it trusts, and whom its own hub lets in.

Knows: a folder of small files, how they are written, and who may read them.
Refuses to know: sockets; ``sockets`` shows the keys, and ``gatekeeper`` asks the list.

==============  ==========================================================================
``secret.key``  this host's secret key; its public key follows from it
``hub.key``     the public key of the hub that this host connects to; without it, its own
``allowed``     whom a hub with these keys lets in: a line each, ``NAME KEY both|publish|subscribe``
``claims``      whose streams were whose when the hub ran last (``kept_claims``)
==============  ==========================================================================

Keys are Curve25519 keys in Z85, 40 printable characters, as every binding of ZeroMQ takes them.
The folder belongs to its owner alone (0700, files 0600); one that others can look into is refused.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal, get_args

import zmq

from affectstream.errors import AffectstreamError

HUB_NAME = "hub"
"""The name of the peer with the hub's own secret key; no peer on the list may have it."""

Role = Literal["both", "publish", "subscribe"]
ROLES: tuple[Role, ...] = get_args(Role)

MAX_FILE_BYTES = 1024 * 1024
MAX_NAME = 120
_NAME = re.compile(rf"[^/\s#]{{1,{MAX_NAME}}}")


class SecurityError(AffectstreamError):
    """Keys that cannot be used; one sentence with a remedy."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys in a folder.

    The list of who is let in is not part of it: it may change while a hub runs (``read_allowed``).

    Attributes:
        public, secret: of this host, Z85; the secret is never shown.
        hub: the public key of the hub that is trusted.
    """

    folder: Path
    public: bytes
    secret: bytes = field(repr=False)
    hub: bytes


@dataclass(frozen=True, slots=True)
class Peer:
    """A line of the hub's list: whose key it is, and what its owner may do."""

    name: str
    key: bytes
    role: Role = "both"

    def may(self, role: str) -> bool:
        """Return whether this peer may ``publish`` or ``subscribe``."""
        return self.role in ("both", role)


def default_folder() -> Path:
    """Return where ``affectstream keys`` keeps keys unless another folder is named."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "affectstream" / "keys"


def new_keys(folder: Path, hub: str | None = None) -> Keys:
    """Make a key pair in ``folder``, which must not hold one; ``hub`` is the hub's public key.

    Raises:
        SecurityError: there are keys already, or the folder cannot be used.
    """
    trusted = None if hub is None else checked_key(hub)
    if not zmq.has("curve"):
        raise SecurityError("this libzmq cannot encrypt; pip install --force-reinstall pyzmq")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SecurityError(f"{folder} cannot be made: {error.strerror}; choose --keys") from error
    _check_private(folder, folder.stat())
    public, secret = zmq.curve_keypair()
    while public.startswith(b"-"):  # on a command line it would look like an option
        public, secret = zmq.curve_keypair()
    try:
        made = os.open(folder / "secret.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise SecurityError(
            f"{folder} has keys already, which are never overwritten; see `affectstream keys show`"
        ) from error
    with open(made, "wb") as file:
        file.write(secret + b"\n")
    if trusted is not None:
        _write(folder / "hub.key", trusted.decode() + "\n")
    return open_keys(folder)


def open_keys(folder: Path) -> Keys:
    """Return the keys in ``folder``.

    Raises:
        SecurityError: there are none, or others than their owner could read or change them.
    """
    folder = folder.expanduser()
    try:
        _check_private(folder, folder.stat())
        secret = checked_key(_read(folder / "secret.key"))
    except FileNotFoundError as error:
        raise SecurityError(
            f"{folder} has no keys; make them by `affectstream keys new --keys {folder}`"
        ) from error
    except NotADirectoryError as error:
        raise SecurityError(f"{folder} is not a folder; see `affectstream keys new`") from error
    public = zmq.curve_public(secret)
    try:
        hub = checked_key(_read(folder / "hub.key"))
    except FileNotFoundError:
        hub = public
    return Keys(folder, public, secret, hub)


def trust_hub(folder: Path, hub: str) -> None:
    """Note the public key of the hub that this host connects to from now on.

    Raises:
        SecurityError: the folder has no keys, or ``hub`` is no key.
    """
    key = checked_key(hub)
    open_keys(folder)
    _write(folder / "hub.key", key.decode() + "\n")


def read_allowed(folder: Path) -> list[Peer]:
    """Return the list of whom a hub with these keys lets in, in the order of the file.

    Raises:
        SecurityError: the file cannot be trusted or read.
    """
    path = folder / "allowed"
    try:
        lines = _read(path).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SecurityError(f"{path} cannot be read: {error.strerror}; see what it is") from error
    peers = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        try:
            name, key, role = words
            peers.append(Peer(_checked_name(name), checked_key(key), _checked_role(role)))
        except (ValueError, SecurityError) as error:
            raise SecurityError(
                f"{path}, line {number} is not `NAME KEY both`; mend it, or use "
                "`affectstream keys allow`"
            ) from error
    return peers


def allow(folder: Path, name: str, key: str, role: str = "both") -> Peer:
    """Put a peer on the hub's list, or change its role; a name has one key.

    Raises:
        SecurityError: that is no name, no key or no role, or the name or the key is on the list
            with another key or name.
    """
    peer = Peer(_checked_name(name), checked_key(key), _checked_role(role))
    if peer.key == open_keys(folder).public:
        raise SecurityError("that is this folder's own key, which its hub always lets in")
    with _locked(folder):
        peers = read_allowed(folder)
        for known in peers:
            if known.key == peer.key and known.name != name:
                raise SecurityError(
                    f"{known.name} has that key; `affectstream keys revoke {known.name}` first"
                )
            if known.name == name and known.key != peer.key:
                raise SecurityError(
                    f"{name} has another key; `affectstream keys revoke {name}` first"
                )
        _write_allowed(folder, [*(p for p in peers if p.name != name), peer])
    return peer


def revoke(folder: Path, name_or_key: str) -> Peer:
    """Take a peer off the list; a running hub cuts its connections.

    Raises:
        SecurityError: no peer on the list has that name or key.
    """
    open_keys(folder)
    with _locked(folder):
        peers = read_allowed(folder)
        for peer in peers:
            if name_or_key in (peer.name, peer.key.decode()):
                _write_allowed(folder, [p for p in peers if p is not peer])
                return peer
    raise SecurityError(f"{name_or_key} is not on the list; see `affectstream keys show`")


def checked_key(text: str) -> bytes:
    """Return the key in Z85 that ``text`` is.

    Raises:
        SecurityError: it is none.
    """
    key = text.strip().encode()
    try:
        if len(key) == 40:
            zmq.curve_public(key)  # fails for what is not Z85
            return key
    except zmq.ZMQError:
        pass
    raise SecurityError(
        f"{text.strip()[:50]!r} is not a key of 40 characters; put it in single quotes as "
        "`affectstream keys show` prints it"
    )


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name == HUB_NAME:
        raise SecurityError(
            f"{name[:50]!r} cannot be a name; take one of up to {MAX_NAME} characters without "
            f"white space, slash or #, and not {HUB_NAME!r}"
        )
    return name


def _checked_role(role: str) -> Role:
    for known in ROLES:
        if role == known:
            return known
    raise SecurityError(f"{role!r} is not a role; take {', '.join(ROLES)}")


def _read(path: Path) -> str:
    """Return a small file's text; its mode is checked on the open file, so nobody can swap it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait
    except PermissionError as error:
        raise SecurityError(f"{path} belongs to somebody else; make keys of your own") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise SecurityError(f"{path} is not a file; see what it is")
    with open(descriptor, "rb") as file:
        _check_private(path, found)
        text = file.read(MAX_FILE_BYTES + 1)
    if len(text) > MAX_FILE_BYTES:
        raise SecurityError(f"{path} is larger than any list of keys; see what it is")
    return text.decode(errors="replace")


def _check_private(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise SecurityError(
            f"{path} belongs to another user; make keys of your own by `affectstream keys new`"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        right = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise SecurityError(f"others can look into {path}; chmod {right} {path}")


def _write_allowed(folder: Path, peers: list[Peer]) -> None:
    lines = [f"{peer.name} {peer.key.decode()} {peer.role}\n" for peer in peers]
    _write(folder / "allowed", "".join(lines))


def _write(path: Path, text: str) -> None:
    """Replace a file in one step: a reader gets the old one or the new one, never a part."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(text)  # a temporary file is its owner's alone, 0600
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one program at a time change the list."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
