"""Subscribe from an asyncio program, and print each final estimate.

Run beside `affectstream demo --address tcp://127.0.0.1:5570`:

    python examples/subscribe_async.py [ADDRESS]
"""

import asyncio
import sys

from affectstream import AsyncSubscriber, Emotion, StreamClosed


async def follow(address: str) -> None:
    async with AsyncSubscriber(address) as subscriber:
        async for event in subscriber:
            if isinstance(event, Emotion) and event.status == "final":
                valence = event.dimensional["valence"].mean
                print(f"{event.speaker}: {event.label}, valence {valence:.1f}  “{event.text}”")
            elif isinstance(event, StreamClosed):
                return


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5570"))
