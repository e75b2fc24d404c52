"""Subscribe with pyzmq and msgpack alone: what a client in another language does.

A message is three frames: the topic `kind/session/source`, a MessagePack map, and a payload,
which is empty for estimates; docs/wire.md describes every field.

Run beside `affectstream demo --address tcp://127.0.0.1:5570`:

    pip install pyzmq msgpack
    python examples/subscribe_plain.py [ADDRESS]
"""

import sys

import msgpack
import zmq

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5570"

with zmq.Context() as context, context.socket(zmq.SUB) as socket:
    socket.connect(address)
    socket.subscribe("emotion/")
    socket.subscribe("stream.closed/")
    while True:
        topic, header, payload = socket.recv_multipart()
        fields = msgpack.unpackb(header)
        if fields["v"] != 1:
            sys.exit(f"wire version {fields['v']}: this program reads version 1")
        print(topic.decode(), {name: fields[name] for name in ("source", "epoch", "seq")})
        if fields["kind"] == "emotion":
            print(fields["utterance"], fields["revision"], fields["status"], fields["categorical"])
        elif fields["source"] == "fusion":
            break
