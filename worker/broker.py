"""Keep Celery reading its queues when Redis answers with an error or a message is unreadable.

In kombu, an error answer to BRPOP or an unreadable message ends the worker. Here the error is an
outage like any other, after which Celery reconnects (with its setting
`broker_channel_error_retry`), and the message is set aside for a person. A message is a doorbell:
whatever happens to it, the relay rings again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, ClassVar

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, SentinelChannel, SentinelTransport, Transport
from redis.exceptions import ResponseError

from shared.telemetry.logging import get_logger
from shared.work.kinds import KINDS

log = get_logger(__name__)
# Pause before the next read after Redis refused one; a fail-over takes seconds.
PAUSE_SECONDS = 1.0
# What kombu raises for a message that it cannot decode: its JSON may name a type of Python
# (`{"__type__": "decimal", "__value__": "x"}`), and each type fails in its own way.
UNREADABLE = (
    ValueError,
    TypeError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
)
# Characters of such an error in the log; it may quote the whole message.
LONGEST_ERROR = 200


class Aside:
    """Holds the function that sets a message aside; the worker assigns it at start."""

    put: ClassVar[Callable[[str, str], None]] = staticmethod(lambda _queue, _message: None)


class _Survivor:
    """What both of our channels change in kombu's."""

    # A message that was read is not stored anywhere, so a stop has nothing to restore.
    do_restore = False

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # kombu's channel
        except ResponseError as error:
            log.warning("queue_refused", error=str(error))
            time.sleep(PAUSE_SECONDS)
            raise
        except UNREADABLE as error:
            read_last = self._queue_cycle.items[-1]  # type: ignore[attr-defined]  # kombu's channel
            Aside.put(read_last, _text_of(error))
            return True

    def _receive_one(self, client: Any) -> Any:
        """Read a message to all workers or from them; drop one that cannot be read.

        It reaches every worker at once, and nothing depends on it but what Flower shows.
        """
        try:
            return super()._receive_one(client)  # type: ignore[misc]  # kombu's channel
        except UNREADABLE as error:
            log.warning("broadcast_unreadable", error=repr(error)[:LONGEST_ERROR])
            return False


def _text_of(error: Exception) -> str:
    """Return the text of the message that could not be decoded."""
    if isinstance(error, json.JSONDecodeError):
        return error.doc
    if isinstance(error, UnicodeDecodeError):
        return error.object.decode(errors="replace")
    return f"({error})"


class _Reader:
    """What both of our transports change in kombu's."""

    def _deliver(self, message: Any, queue: str) -> None:
        if queue in KINDS and not is_doorbell(message, queue):
            Aside.put(queue, json.dumps(message, default=repr))
        elif queue in KINDS and queue not in self._callbacks:  # type: ignore[attr-defined]  # kombu's
            self._return(message, queue)
        else:
            super()._deliver(message, queue)  # type: ignore[misc]  # kombu's transport

    def _return(self, message: Any, queue: str) -> None:
        """Put back, as it came, a message that arrived after this worker was told to stop.

        kombu's own way decodes it first, and what it puts back is no doorbell any more.
        """
        channel = next(filter(None, self.channels))  # type: ignore[attr-defined]  # kombu's
        channel._put(queue, message)  # noqa: SLF001  # what each of its transports implements


def is_doorbell(message: Any, queue: str) -> bool:
    """Say whether a message has the form of this queue's doorbells."""
    match message:
        case {
            "body": str() | bytes(),
            "headers": {"task": str() as task},
            "properties": {"delivery_tag": str(), "delivery_info": dict()},
        }:
            return task == KINDS[queue].task
    return False


class BellChannel(_Survivor, Channel):
    """Reads one Redis."""


class BellSentinelChannel(_Survivor, SentinelChannel):
    """Reads the primary that the Sentinels name."""


class BellTransport(_Reader, Transport):  # type: ignore[misc]  # kombu is not typed
    """Connects to one Redis."""

    Channel = BellChannel


class BellSentinelTransport(_Reader, SentinelTransport):  # type: ignore[misc]  # kombu is not typed
    """Connects to the primary that the Sentinels name."""

    Channel = BellSentinelChannel


def install() -> None:
    """Register our transports with kombu."""
    ours = {"redis": BellTransport, "rediss": BellTransport, "sentinel": BellSentinelTransport}
    for scheme, transport in ours.items():
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{transport.__name__}"
