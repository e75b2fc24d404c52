"""The subscriber's side of revisions: what is believed now of each utterance.

Knows: that (utterance, revision) strictly increases and ``final`` is last.
Refuses to know: where estimates come from.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

from affectstream.messages import Emotion

MAX_BOOKED = 1_024
"""Estimates are a few kilobytes each; a dialogue of four hours has about as many utterances."""


class RevisionBook:
    """Accepts estimates that are news and keeps the latest of each utterance.

    Estimates of a node that was restarted (another epoch) begin anew, unless the utterance was
    final already; so does an utterance of another time under a name that was used before.
    Duplicates and estimates that were overtaken are refused and counted.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._latest: OrderedDict[tuple[str, str], Emotion] = OrderedDict()

    def accept(self, emotion: Emotion) -> bool:
        """Return whether the estimate is news; if so it is the utterance's latest."""
        key = (emotion.session, emotion.utterance)
        known = self._latest.get(key)
        if known is not None and known.status == "final" and emotion.start_ns == known.start_ns:
            self.counts["after final"] += 1
            return False
        if (
            known is not None
            and known.status != "final"
            and emotion.epoch == known.epoch
            and emotion.revision <= known.revision
            and not (emotion.revision == 0 and emotion.start_ns != known.start_ns)
        ):
            self.counts["overtaken"] += 1
            return False
        self._latest[key] = emotion
        self._latest.move_to_end(key)
        if len(self._latest) > MAX_BOOKED:
            self._latest.popitem(last=False)
        self.counts[emotion.status] += 1
        return True

    def latest(self, session: str) -> list[Emotion]:
        """Return the latest estimate of each remembered utterance of a dialogue, by its end."""
        mine = [emotion for (name, _), emotion in self._latest.items() if name == session]
        return sorted(mine, key=lambda emotion: (emotion.end_ns, emotion.start_ns))
