"""docs/wire.md against the code: every kind, field, type, default and limit, and nothing else."""

from __future__ import annotations

import re

import msgspec
import pytest
from msgspec import UNSET, inspect

from affectstream import codec, messages
from affectstream.bus import DEFAULT_ADDRESS, sockets
from affectstream.core.delivery import fairness, published, reassembler, retention
from affectstream.core.limits import PeerLimits
from affectstream.messages import MESSAGE_KINDS, Message
from command_lines import ROOT

PAGE = (ROOT / "docs" / "wire.md").read_text(encoding="utf-8")
COMMON = {"session", "source", "epoch", "seq", "sent_ns"}
PARTS = {"word": messages.Word, "dimension": messages.Dimension, "model": messages.ModelIdentity}
ROW = re.compile(r"^\| `([a-z0-9_]+)` \| (.+?) \| (.+?) \| (.*)\|$", re.MULTILINE)

TYPE = re.compile(r"^\| (\w+) \| (.+?) \| (.*?) ?\|$", re.MULTILINE)


def section(heading: str) -> str:
    """Return the page's text under a heading, as far as the next of its rank or above."""
    start = PAGE.index(f"\n{heading}\n") + 1
    rank = len(heading.split(" ")[0])
    end = re.compile(rf"^#{{1,{rank}}} ", re.MULTILINE).search(PAGE, start + len(heading))
    return PAGE[start : end.start() if end else len(PAGE)]


WORDS = {
    (what, bounds): word
    for word, what, bounds in TYPE.findall(section("## Types"))
    if word != "type"
}
"""What a type is and its bounds -> the page's word for it."""


def words_of(kind: inspect.Type, field: str) -> str:
    """Say a field's type in the page's words."""
    match kind:
        case inspect.LiteralType(values=values):
            return ", ".join(sorted(map(str, values)))
        case inspect.UnionType(types=types):
            (kind,) = (t for t in types if not isinstance(t, inspect.NoneType))
            return f"{words_of(kind, field)} or nil"
        case inspect.DictType(value_type=value):
            return f"map of {words_of(value, field)}"
        case inspect.VarTupleType(item_type=item):
            return f"list of {words_of(item, field)}"
        case inspect.TupleType(item_types=items):
            return f"{len(items)} × {words_of(items[0], field)}"
        case inspect.StructType(cls=cls):
            return next(word for word, part in PARTS.items() if part is cls)
    return WORDS[what_of(kind, field), bounds_of(kind)]


def what_of(kind: inspect.Type, field: str) -> str:
    names = {inspect.BoolType: "true or false", inspect.StrType: "string"}
    name = names.get(type(kind), "integer" if isinstance(kind, inspect.IntType) else "number")
    if field.endswith("_ns"):
        return f"{name}, nanoseconds"
    return f"{name}, Hz" if field.endswith("_hz") else name


def bounds_of(kind: inspect.Type) -> str:
    match kind:
        case inspect.StrType(pattern=None, max_length=length):
            return f"at most {length:,} characters"
        case inspect.StrType(min_length=least, max_length=length):
            return f"{least} to {length} characters, none of them `/` or white space"
        case inspect.IntType(ge=ge, gt=gt, le=le, lt=lt):
            least = ge if ge is not None else (gt or 0) + 1
            return f"{least:,} to {_power(lt) if lt is not None else f'{le:,}'}"
        case inspect.FloatType(ge=ge, le=le):
            return f"{ge:,.0f} to {le:,.0f}"
    return ""


def _power(limit: int) -> str:
    assert limit == 1 << (limit.bit_length() - 1)
    return f"2^{limit.bit_length() - 1} − 1"


def missing_of(field: inspect.Field) -> str:
    """Say what a missing field stands for, in the page's words."""
    if field.required:
        return "refused"
    default = field.default
    if field.default_factory is not UNSET and default in (UNSET, inspect.NODEFAULT):
        default = field.default_factory()  # type: ignore[operator]
    if default is None:
        return "nil"
    if isinstance(default, tuple | dict):
        return f"`{msgspec.json.encode(default).decode()}`"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{msgspec.json.encode(default).decode()}`"


def rows(text: str) -> dict[str, tuple[str, str]]:
    """Return the tables' fields: name -> type and what a missing one stands for."""
    return {
        name: (", ".join(sorted(re.findall(r"`(.+?)`", kind))) or kind, missing)
        for name, kind, missing, _ in ROW.findall(text)
    }


def expected(kind: type) -> dict[str, tuple[str, str]]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return {
        field.name: (words_of(field.type, field.name), missing_of(field))
        for field in info.fields
        if field.name != "payload" and (field.name not in COMMON or not issubclass(kind, Message))
    }


def test_the_page_has_a_section_for_every_kind_and_no_other() -> None:
    named = re.findall(r"^### `(.+)`$", section("## Kinds"), re.MULTILINE)
    assert sorted(named) == sorted(MESSAGE_KINDS)
    assert named[:2] == ["stream.opened", "stream.closed"]


@pytest.mark.parametrize("kind", sorted(MESSAGE_KINDS))
def test_a_kinds_fields_are_those_of_the_page(kind: str) -> None:
    text = section(f"### `{kind}`").split("\nA **")[0]
    assert rows(text) == expected(MESSAGE_KINDS[kind])


@pytest.mark.parametrize("word", sorted(PARTS))
def test_the_fields_of_a_value_are_those_of_the_page(word: str) -> None:
    text = PAGE.split(f"\nA **{word}** is a map:\n")[1]
    assert rows(text.split("\n\n")[0]) == expected(PARTS[word])


def test_the_fields_of_every_header_are_those_of_the_page() -> None:
    found = rows(section("## A message"))
    assert found.pop("v") == ("count", "refused")
    assert found.pop("kind") == ("short", "refused")
    fields = inspect.type_info(messages.Gap).fields  # type: ignore[attr-defined]
    assert found == {
        f.name: (words_of(f.type, f.name), missing_of(f)) for f in fields if f.name in COMMON
    }


def test_a_payload_is_described_where_there_is_one() -> None:
    for kind, cls in MESSAGE_KINDS.items():
        assert ("Payload:" in section(f"### `{kind}`")) == cls.has_payload, kind


def test_every_type_of_the_page_is_some_fields() -> None:
    every = [*MESSAGE_KINDS.values(), *PARTS.values()]
    used = {word for kind in every for word, _ in expected(kind).values()}
    assert set(WORDS.values()) <= set(re.findall(r"\w+", " ".join(used)))


LIMITS = [
    f"| topic | {codec.MAX_TOPIC_BYTES} bytes |",
    f"| header | {codec.MAX_HEADER_BYTES:,} bytes |",
    f"| maps and arrays inside each other | {codec.MAX_DEPTH}, the header counted |",
    f"| payload | {codec.MAX_PAYLOAD_BYTES:,} bytes |",
    f"| a request's body | {codec.MAX_HEADER_BYTES:,} bytes |",
    f"| an answer's first body | {codec.MAX_PAYLOAD_BYTES:,} bytes |",
    f"| any frame | {sockets.MAX_WIRE_FRAME_BYTES:,} bytes;",
    f"| subscriptions of one reader that asks for state or history | {retention.MAX_PREFIXES} ",
    f"| messages of one `resend` | {retention.MAX_RESEND:,}; ask for {retention.RESENT_AT_ONCE} ",
    f"| {retention.RESENT_AT_ONCE} messages, or {retention.MAX_PAGE_BYTES:,} bytes |",
    f"| topics in `seen` | {reassembler.MAX_SEEN} |",
    f"| requests that wait at a publisher of ours | {fairness.MAX_QUEUED_REQUESTS:,};",
    f"| {max(sockets.MAX_WAITING.values()):,}; what does not fit is dropped",
    f"the hub asks every {sockets.HEARTBEAT_MS // 1000} s",
    f"does not answer within {sockets.STALLED_MS // 1000} s",
    f"(at most {retention.MAX_RETAINED_ESTIMATES} of a stream)",
    f"at least every {published.HEARTBEAT_NS // 1_000_000} ms",
    f"This is version **{codec.WIRE_VERSION}**",
    f"(by default `{DEFAULT_ADDRESS}`)",
]
PEER = PeerLimits()
PEER_LIMITS = [
    f"| messages | {PEER.messages_per_s:,.0f} a second, twice that at once |",
    f"| bytes | {PEER.bytes_per_s:,.0f} a second, twice that at once |",
    f"| requests | {PEER.requests_per_s:,.0f} a second, {PEER.request_burst:,.0f} at once |",
    f"| subscriptions | {PEER.subscriptions:,} |",
    f"| names of streams and epochs | {PEER.names:,} |",
    f"| frames of one request or answer | {PEER.frames:,} |",
    f"After {PEER.strikes:,.0f} faults ({PEER.strikes_forgiven_per_s:.0f} a second are forgiven)",
    f"cut off for {PEER.block_ns // 10**9} s",
    f"up to {PEER.longest_block_ns // (60 * 10**9)} min",
    f"until it has been silent for {PEER.silent_ns // 10**9} s",
]


@pytest.mark.parametrize("said", [*LIMITS, *PEER_LIMITS])
def test_a_limit_is_that_of_the_page(said: str) -> None:
    assert said in " ".join(PAGE.split())
    assert PEER.burst_s == 2.0


def test_every_request_and_answer_is_on_the_page() -> None:
    product = ROOT / "realtime" / "affectstream"
    files = ("bus/inlet.py", "core/delivery/answers.py", "bus/guard.py")
    code = "".join((product / name).read_text(encoding="utf-8") for name in files)
    ops = set(re.findall(r'"op": "(\w+)"', code))
    assert ops == set(re.findall(r'"op": "(\w+)"', PAGE))
    assert ops == {"resend", "resent", "state", "history", "clock", "unreachable"}
