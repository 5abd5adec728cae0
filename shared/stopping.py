"""Stop at a signal, which may come at any moment and more than once."""

from __future__ import annotations

import signal
from queue import Empty, SimpleQueue

# Every signal by which a supervisor or a person asks a process to stop.
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


class StopRequest:
    """Like `threading.Event`, but safe in a handler of signals.

    A handler runs between any two steps of the main thread. One that set an event would wait
    forever if it interrupted another handler in `set`, or the thread at the beginning of `wait`:
    these hold the event's lock. The queue has none that Python could be interrupted with.
    """

    def __init__(self) -> None:
        self._requests: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Request the stop; may be repeated."""
        self._requests.put(None)

    def is_set(self) -> bool:
        """Say whether a stop was requested."""
        return not self._requests.empty()

    def wait(self, seconds: float) -> bool:
        """Wait for the request, at most this long; say whether it was made."""
        try:
            self._requests.get(timeout=seconds)
        except Empty:
            return False
        self._requests.put(None)
        return True


def ignore_stops() -> None:
    """Ignore further signals to stop, in a process that has stopped and is about to end.

    While Python ends, it gives each signal that has a handler its default back. Another signal then
    ends the process before its last steps, with the status of one that was killed.
    """
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
