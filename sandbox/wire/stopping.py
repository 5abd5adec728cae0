"""Wait for the end of the process."""

import asyncio
import signal


async def stopped() -> None:
    """Return when the process is told to end, by SIGTERM or Ctrl-C."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
