"""Wait for a signal to stop."""

import asyncio
import signal

STOPS = (signal.SIGTERM, signal.SIGINT)


async def wait_for_stop() -> None:
    """Return after SIGTERM or Ctrl-C; from then on both are ignored, for the state is saved."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in STOPS:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    await stop.wait()
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
