"""`affectstream keys`: this host's key, the hub it trusts, and whom its own hub lets in.

Knows: options and words. Refuses to know: how keys are kept (``bus.keys``). A secret key is never
printed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from affectstream.commands.options import AsJson
from affectstream.show.lines import print_json, print_line

keys_app = typer.Typer(
    help="Keys for hubs that other machines can reach.", no_args_is_help=True, rich_markup_mode=None
)

Folder = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        envvar="AFFECTSTREAM_KEYS",
        help="The folder; default: ~/.config/affectstream/keys.",
    ),
]
HubKey = Annotated[str | None, typer.Option("--hub", help="The hub's public key; default: own.")]
PublicKey = Annotated[str, typer.Argument(help="A public key, in single quotes.")]


@keys_app.command()
def new(keys: Folder = None, hub: HubKey = None, as_json: AsJson = False) -> None:
    """Make this host's keys and print the public one."""
    from affectstream.bus.keys import new_keys

    made = new_keys(_folder(keys), hub)
    public = made.public.decode()
    if as_json:
        print_json({"folder": str(made.folder), "public": public})
        return
    print_line(public)
    if hub is None:
        said = f"on another host: affectstream keys new --hub '{public}'"
    else:
        said = f"on the hub's host: affectstream keys allow NAME '{public}'"
    print_line(f"made in {made.folder}; {said}", to_error=True)


@keys_app.command()
def show(keys: Folder = None, as_json: AsJson = False) -> None:
    """Print the public keys: this host's, its hub's, and those on the list."""
    from affectstream.bus.keys import open_keys, read_allowed

    found = open_keys(_folder(keys))
    peers = read_allowed(found.folder)
    public, hub = found.public.decode(), found.hub.decode()
    if as_json:
        allowed = [{"name": p.name, "key": p.key.decode(), "role": p.role} for p in peers]
        print_json({"public": public, "hub": hub, "allowed": allowed})
        return
    print_line(f"this host  {public}")
    print_line(f"its hub    {'this host' if hub == public else hub}")
    for peer in peers:
        print_line(f"lets in    {peer.key.decode()}  {peer.name}  ({peer.role})")


@keys_app.command()
def trust(key: PublicKey, keys: Folder = None) -> None:
    """Take another hub's public key as the one to connect to."""
    from affectstream.bus.keys import trust_hub

    trust_hub(_folder(keys), key)


@keys_app.command("allow")
def allow_peer(
    name: Annotated[str, typer.Argument(help="Who it is, as logs will say it.")],
    key: PublicKey,
    role: Annotated[str, typer.Option(help="publish, subscribe or both.")] = "both",
    keys: Folder = None,
) -> None:
    """Let somebody in at the hub that runs with these keys; it need not be restarted."""
    from affectstream.bus.keys import allow

    allow(_folder(keys), name, key, role)


@keys_app.command("revoke")
def revoke_peer(
    who: Annotated[str, typer.Argument(help="A name on the list, or its key.")],
    keys: Folder = None,
) -> None:
    """Let somebody in no more; a running hub cuts the connections."""
    from affectstream.bus.keys import revoke

    peer = revoke(_folder(keys), who)
    print_line(f"{peer.name} is revoked", to_error=True)


def _folder(keys: Path | None) -> Path:
    from affectstream.bus.keys import default_folder

    return default_folder() if keys is None else keys.expanduser()
