"""Keep the latest estimate of each utterance, and print when its most probable class changes.

Run beside `affectstream demo --address tcp://127.0.0.1:5570`:

    python examples/revisions.py [ADDRESS]
"""

import sys

from affectstream import Emotion, StreamClosed, Subscriber

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5570"
known: dict[str, str] = {}

with Subscriber(address) as subscriber:
    for event in subscriber:
        if isinstance(event, Emotion):
            before = known.get(event.utterance)
            known[event.utterance] = event.label
            if before not in (None, event.label):
                seen = f"{event.look_ahead} later utterances"
                print(f"{event.utterance}: {before} -> {event.label}, having seen {seen}")
        elif isinstance(event, StreamClosed):
            print(f"{len(known)} utterances")
            for latest in subscriber.revisions.latest(event.session):
                print(latest.utterance, latest.label, latest.status)
            break
