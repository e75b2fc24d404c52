"""Publish an utterance from a program of your own: its words, and 47 statistics of its sound.

Run beside `affectstream demo --address tcp://127.0.0.1:5570` and `python examples/subscribe.py`:

    python examples/publish_observation.py [ADDRESS]
"""

import sys
import time

import numpy as np

import affectstream.messages as wire
from affectstream.bus import Outlet

outlet = Outlet(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5570")
stream = {"session": "mine", "source": "my-program"}
end_ns = time.time_ns()
times = {"start_ns": end_ns - 2_000_000_000, "end_ns": end_ns}
said = {**stream, **times, "utterance": "anna-0000", "speaker": "anna"}
statistics = np.zeros((1, 47), dtype="<f4")  # compute them by a front end of your own
shape = {"modality": "acoustic", "front_end": "egemaps47", "rows": 1, "columns": 47}

start = {"speaker": "anna", "start_ns": times["start_ns"]}
outlet.publish(wire.StreamOpened(**stream, **start, modality="speech"))
outlet.publish(wire.Observation(**said, **shape, payload=statistics.tobytes()))
outlet.publish(wire.Transcript(**said, text="i am so happy for you", final=True, engine="typed"))
outlet.publish(wire.UtteranceEnded(**said))
outlet.publish(wire.StreamClosed(**stream, reason="that was all", end_ns=end_ns))
stay_s = time.monotonic() + 1.0
while time.monotonic() < stay_s:  # readers ask for what they missed while all were connecting
    outlet.service()
    outlet.socket.poll(20)
outlet.close()
