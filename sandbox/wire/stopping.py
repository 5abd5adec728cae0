"""Wait for a signal to stop."""

import asyncio
import signal


async def wait_for_stop() -> None:
    """Return after SIGTERM or Ctrl-C."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
