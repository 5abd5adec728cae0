"""Count a message on a queue that is not ours, and set it aside for an operator."""

from __future__ import annotations

from shared.canonical_json import compact
from shared.errors import Unavailable
from shared.store.scripts import Call, Store
from shared.telemetry.logging import get_logger
from shared.telemetry.tally import GARBAGE

log = get_logger(__name__)
# Enough to recognise who wrote it; a message of ours has under a kilobyte.
KEPT_CHARACTERS = 2_000
KEPT_MESSAGES = 100
KEPT_MS = 30 * 86_400_000


def put_aside(store: Store, queue: str, message: str) -> None:
    """Count the message and set it aside; if Redis is unavailable, only the log records it."""
    store.tally.count(GARBAGE, queue=queue)
    entry = compact({"queue": queue, "message": message[:KEPT_CHARACTERS]})
    names = {"garbage": store.keys.garbage()}
    try:
        store.run(Call("set_aside", names, [entry, KEPT_MESSAGES, KEPT_MS]))
        log.error("queue_garbage", queue=queue, characters=len(message))
    except Unavailable as error:
        log.error("queue_garbage", queue=queue, characters=len(message), lost=str(error))  # noqa: TRY400  # our own error, which needs no traceback
