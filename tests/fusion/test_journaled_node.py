"""A node that is killed at any moment goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectstream.bus.database import JournalError
from affectstream.bus.journal import Journal
from affectstream.codec import decode, encode
from affectstream.fusion import journaled_node
from affectstream.fusion.journaled_node import JournaledNode
from affectstream.fusion.node import FusionNode
from affectstream.messages import Emotion, Gap, Message, ModelIdentity, Progress, StreamClosed
from fakes import MS, FakeModel, S, closed, ended, observation, opened, progress, transcript


class KilledError(Exception):
    """The process is gone; what was not committed is lost."""


class Publisher:
    """A journal as an outlet uses it; killed before, or after, the n-th message is kept."""

    def __init__(self, path: Path, dies_at: int, before: bool) -> None:
        self.journal = Journal(path)
        self.heads = dict(self.journal.recall().heads)
        self.left, self.before = dies_at, before

    def publish(self, message: Message) -> None:
        self.left -= 1
        if self.left == 0 and self.before:
            raise KilledError
        seq = self.heads.get(message.topic, 0)
        numbered = msgspec.structs.replace(message, epoch=self.journal.epoch, seq=seq)
        self.journal.keep(message.topic, seq, encode(numbered))
        self.heads[message.topic] = seq + 1
        if self.left == 0:
            raise KilledError

    def die(self) -> None:
        self.journal._opened.close()  # without a commit, as the system does it


def numbered(messages: Iterable[Message]) -> list[Message]:
    """As one outlet would publish them."""
    heads: dict[str, int] = {}
    found = []
    for message in messages:
        seq = heads.get(message.topic, 0)
        heads[message.topic] = seq + 1
        found.append(msgspec.structs.replace(message, epoch=7, seq=seq))
    return found


def live_dialogue(utterances: int) -> list[Message]:
    """Two streams on the node's clock."""
    said: list[Message] = [opened("mic.ann"), opened("asr.mic.ann", modality="text")]
    for i in range(utterances):
        start_ns, end_ns = S + i * 1_000 * MS, S + i * 1_000 * MS + 700 * MS
        name = f"u{i}"
        said += [
            ended(name, start_ns, end_ns, "ann"),
            observation(name, float(i), speaker="ann"),
            progress(end_ns, "mic.ann"),
            transcript(name, f"text {i}", speaker="ann"),
            progress(end_ns, "asr.mic.ann"),
        ]
    return [*said, closed("mic.ann"), closed("asr.mic.ann")]


def drive(
    path: Path,
    heard: list[Message],
    kills: Iterable[tuple[int, bool]] = (),
    down_ns: int = 40 * S,
    step_ns: int = 20 * MS,
) -> list[Message]:
    """Feed a journaled node as an inlet would, from where it says that it is; return its journal.

    Args:
        kills: how many messages are kept until the next death, and whether it dies before the last.
        down_ns: how long it takes until the next one starts.
    """
    now_ns, deaths = S, [*kills, (1 << 60, False)]
    for dies_at, before in deaths:
        publisher = Publisher(path, dies_at, before)
        try:
            model = FakeModel()
            node = FusionNode(model, 2, stopwatch=lambda: 0)
            machine = JournaledNode(node, model, publisher.journal, now_ns)
            position = machine.positions.get(7, {})
            for message in heard:
                if message.seq < position.get(message.topic, 0):
                    continue
                now_ns += step_ns
                for said in machine.receive(message, now_ns):
                    publisher.publish(said)
                for said in machine.wake(now_ns):
                    publisher.publish(said)
            for said in machine.wake(now_ns + 200 * MS):
                publisher.publish(said)
        except KilledError:
            publisher.die()
            now_ns += down_ns
            continue
        rows = list(publisher.journal.select(
            "SELECT topic, header FROM published ORDER BY position"))  # fmt: skip
        left = [
            row
            for table in ("dialogues", "happened")
            for row in publisher.journal.select(f"SELECT * FROM {table}")
        ]
        assert left == []  # the dialogue has ended: nothing of it is kept
        publisher.journal.close()
        return [decode([topic.encode(), header, b""]) for topic, header in rows]
    raise AssertionError


def essence(published: Iterable[Message]) -> list[tuple[object, ...]]:
    """What a subscriber would call different, but when it was said."""
    found: list[tuple[object, ...]] = []
    for message in published:
        if isinstance(message, Emotion):
            found.append(
                (message.utterance, message.revision, message.status, message.look_ahead,
                 message.text, message.categorical)
            )  # fmt: skip
        elif not isinstance(message, Progress):
            found.append((message.kind,))
    return found


@settings(max_examples=40, deadline=None)
@given(
    kills=st.lists(st.tuples(st.integers(1, 25), st.booleans()), max_size=6),
    down_ns=st.sampled_from([0, 2 * S, 900 * S]),
    save_after=st.sampled_from([1, 3, 64]),
)
def test_killed_at_any_moment_it_says_everything_once_and_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    kills: list[tuple[int, bool]],
    down_ns: int,
    save_after: int,
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    heard = numbered(live_dialogue(6))
    undisturbed = drive(folder / "whole", heard)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journaled_node, "SAVE_AFTER_ESTIMATES", save_after)
        disturbed = drive(folder / "killed", heard, kills, down_ns)
    assert essence(disturbed) == essence(undisturbed)
    assert [m.seq for m in disturbed if isinstance(m, Emotion)] == list(
        range(sum(isinstance(m, Emotion) for m in disturbed))
    )


def half_a_dialogue(path: Path, save: bool) -> None:
    """A journal with a dialogue that is open."""
    journal, model = Journal(path), FakeModel()
    machine = JournaledNode(FusionNode(model, 2, lambda: 0), model, journal, S)
    heads: dict[str, int] = {}
    for message in numbered(live_dialogue(3))[:-2]:
        for said in [*machine.receive(message, 2 * S), *machine.wake(2 * S)]:
            seq = heads.get(said.topic, 0)
            journal.keep(said.topic, seq, encode(said))
            heads[said.topic] = seq + 1
    if save:
        machine.close(2 * S)
    journal.close()


def reopened(path: Path, model: FakeModel) -> tuple[JournaledNode, FusionNode, Journal]:
    journal, node = Journal(path), FusionNode(model, 2, lambda: 0)
    try:
        return JournaledNode(node, model, journal, 3 * S), node, journal
    except BaseException:
        journal.close()
        raise


def test_a_node_that_is_stopped_leaves_its_dialogues_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    half_a_dialogue(path, save=True)
    machine, node, journal = reopened(path, FakeModel())
    assert list(node.sessions) == ["s1"]
    assert [m for m in machine.wake(3 * S) if isinstance(m, Emotion)] == []  # nothing is new
    said = [m for end in live_dialogue(0)[2:] for m in machine.receive(end, 3 * S)]
    said += machine.wake(3 * S)
    assert {m.utterance for m in said if isinstance(m, Emotion)} == {"u1", "u2"}
    assert isinstance(said[-1], StreamClosed)
    journal.close()


def test_a_node_that_is_stopped_has_saved_its_dialogues(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    half_a_dialogue(path, save=True)
    model = FakeModel()
    _, node, journal = reopened(path, model)
    assert list(node.sessions) == ["s1"]
    assert (model.encoded, model.advanced, model.batches) == (0, 0, 0)  # nothing is computed again
    journal.close()


def happened_bytes(journal: Journal) -> int:
    """How much is kept of what happened since the dialogue was saved."""
    return sum(
        sum(len(part) for part in (topic.encode(), header, payload))
        if topic is not None
        else journaled_node._STEP_BYTES
        for topic, header, payload in journal.select("SELECT topic, header, payload FROM happened")
    )


def saved_bytes(journal: Journal) -> int:
    ((state,),) = list(journal.select("SELECT state FROM dialogues"))
    return len(state or b"")


@pytest.mark.parametrize("estimates", [1, 3, 7])
def test_a_dialogue_is_saved_while_it_goes_on_after_so_many_estimates(
    tmp_path: Path, estimates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journaled_node, "SAVE_AFTER_ESTIMATES", estimates)
    journal, model = Journal(tmp_path / "journal"), FakeModel()
    machine = JournaledNode(FusionNode(model, 2, lambda: 0), model, journal, S)
    since = saves = 0
    for number, message in enumerate(numbered(live_dialogue(10))[:-2]):
        now_ns = S + number * 20 * MS
        said = [*machine.receive(message, now_ns), *machine.wake(now_ns)]
        since += sum(isinstance(m, Emotion) for m in said)
        assert (happened_bytes(journal) == 0) == (since >= estimates)
        if since >= estimates:
            since, saves = 0, saves + 1
    assert saves > 0
    journal.close()


def test_a_dialogue_is_saved_while_it_goes_on_after_as_much_as_a_save_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journaled_node, "SAVE_AFTER_BYTES", 1_000)
    journal, model = Journal(tmp_path / "journal"), FakeModel()
    machine = JournaledNode(FusionNode(model, 2, lambda: 0), model, journal, S)
    saves, before, state_bytes = 0, 0, 0
    for number, message in enumerate(numbered(live_dialogue(12))[:-2]):
        now_ns = S + number * 20 * MS
        list(machine.receive(message, now_ns))
        list(machine.wake(now_ns))
        enough = max(1_000, state_bytes)
        since = happened_bytes(journal)
        if since == 0:
            told = sum(len(part) for part in encode(message))
            assert before + told + journaled_node._STEP_BYTES >= enough
            saves, state_bytes = saves + 1, saved_bytes(journal)
        assert since < enough
        before = since
    assert saves >= 2
    journal.close()


def test_a_journal_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    half_a_dialogue(path, save=True)
    other = FakeModel()
    other.identity = ModelIdentity(id="other", sha256="1" * 64)
    with pytest.raises(JournalError, match="begun with another checkpoint than other"):
        reopened(path, other)


def test_a_state_of_another_version_is_said_and_the_dialogue_closed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    half_a_dialogue(path, save=True)
    journal = Journal(path)
    journal.execute("UPDATE dialogues SET state = ?", b"\x81\x01\x02")
    journal.close()
    machine, node, journal = reopened(path, FakeModel())
    said = list(machine.wake(3 * S))
    assert [(m.kind, m.session) for m in said] == [("gap", "s1"), ("stream.closed", "s1")]
    assert isinstance(said[0], Gap)
    assert said[0].reason.startswith("its saved state cannot be used: it is no saved dialogue")
    assert node.sessions == {}
    assert list(journal.select("SELECT * FROM dialogues")) == []
    journal.close()


def test_a_dialogue_that_is_not_restored_exactly_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    half_a_dialogue(path, save=False)
    journal = Journal(path)
    journal.execute("DELETE FROM happened WHERE topic LIKE 'utterance.ended/%'")
    journal.close()
    machine, _, journal = reopened(path, FakeModel())
    said = list(machine.wake(3 * S))
    assert isinstance(said[0], Gap)
    assert said[0].reason == "it was not restored exactly"
    journal.close()
