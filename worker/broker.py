"""The queues as Celery reads them, for a Redis that answers with errors and lists with garbage.

kombu takes an error answer to BRPOP, and a message that it cannot read, for the end of the worker.
Here the first is an outage like any other, after which Celery reconnects (with its setting
`broker_channel_error_retry`), and the second is put aside for a person. A message is a doorbell:
whatever becomes of one, the relay rings again.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any, ClassVar

from celery import bootsteps
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, SentinelChannel, SentinelTransport, Transport
from redis.exceptions import ResponseError

from shared.telemetry.logging import get_logger
from shared.work.kinds import KINDS

log = get_logger(__name__)
# A Redis that refuses to be read is asked again this much later: a fail-over takes seconds.
PAUSE_SECONDS = 1.0
# A message that no worker of ours can read.
UNREADABLE = (ValueError, RecursionError)


class Aside:
    """Holds the function that keeps garbage, which the worker sets."""

    put: ClassVar[Callable[[str, str], None]] = staticmethod(lambda _queue, _message: None)


class _Survivor:
    """What both of our channels do otherwise than kombu's."""

    # Nothing is kept of a message that was read, so there is nothing to restore at an end.
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


def _text_of(error: Exception) -> str:
    """Give back the message that could not be read."""
    if isinstance(error, json.JSONDecodeError):
        return error.doc
    if isinstance(error, UnicodeDecodeError):
        return error.object.decode(errors="replace")
    return f"({error})"


class _Reader:
    """What both of our transports do otherwise than kombu's."""

    def _deliver(self, message: Any, queue: str) -> None:
        if queue in KINDS and not is_doorbell(message, queue):
            Aside.put(queue, json.dumps(message))
        else:
            super()._deliver(message, queue)  # type: ignore[misc]  # kombu's transport


def is_doorbell(message: Any, queue: str) -> bool:
    """Say whether a message has the form of this queue's own."""
    match message:
        case {
            "body": str(),
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


class WarmHangUp(bootsteps.StartStopStep):
    """Have SIGHUP end the worker as SIGTERM does.

    Celery would start its file anew as a script, which is none of ours: whatever watches the
    process starts it again.
    """

    def start(self, _: Any) -> None:
        """Take the signal from Celery, which has set its own by now."""
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))


def install() -> None:
    """Have kombu use our transports."""
    ours = {"redis": BellTransport, "rediss": BellTransport, "sentinel": BellSentinelTransport}
    for scheme, transport in ours.items():
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{transport.__name__}"
