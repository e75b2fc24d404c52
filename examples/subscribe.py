"""Print every emotion event, as it is made and as it is revised.

Run beside `affectstream demo --address tcp://127.0.0.1:5570`:

    python examples/subscribe.py [ADDRESS]
"""

import sys

from affectstream import Emotion, Gap, subscribe

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5570"

for event in subscribe(address):
    if isinstance(event, Emotion):
        share = event.categorical[event.label]
        print(f"{event.utterance}  {event.label} {share:.0%}  {event.status} r{event.revision}")
    elif isinstance(event, Gap):
        print(f"lost: {event.count} {event.lost} of {event.of}, {event.reason}")
    else:
        print(f"the dialogue {event.session} is over")
        break
