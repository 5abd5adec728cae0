"""A request to stop, which a signal may make at any moment."""

from __future__ import annotations

from queue import Empty, SimpleQueue


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
