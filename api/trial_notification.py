"""A test notification, which shows whether the event service accepts notifications.

It is delivered like every other, through the outbox and a worker, signed and retried; its type and
its metadata mark it as a test, and it belongs to no payment.
"""

from __future__ import annotations

import secrets

from shared.canonical_json import compact
from shared.errors import Unavailable
from shared.facts import Fact
from shared.keys import State
from shared.notification import TEST
from shared.payment_summary import notification_body
from shared.settings import Settings
from shared.store.scripts import Store
from shared.work.items import Recording
from shared.work.outbox import Outbox

# Used in place of the id of a payment.
NO_PAYMENT = "none"
# Open notifications above which no test is added: the backlog itself shows the problem.
MOST_WAITING = 200_000


def trial(store: Store, settings: Settings, trace: dict[str, str]) -> Recording:
    """Build a test notification, which `stage` records. Raises `Unavailable`."""
    seconds = store.now_ms() // 1000
    fact = Fact(
        subject=NO_PAYMENT,
        family="test",
        status="test",
        rank=(seconds,),
        happened_at=seconds,
        snapshot={},
        type=TEST,
        key=secrets.token_hex(16),
        data={"metadata": {"test": "true"}},
        livemode=settings.livemode,
    )
    body = notification_body(fact, {}, NO_PAYMENT)
    fields = {"type": TEST, "payment_id": NO_PAYMENT, "body": compact(body), "sequence": "1"}
    return Recording(str(body["id"]), State.QUEUED, fields | trace, MOST_WAITING)


def stage(store: Store, settings: Settings, notification: Recording) -> None:
    """Stage a test notification and ring for it. Raises `Unavailable`, also when too many wait."""
    if Outbox(store, settings).record(notification) == "full":
        raise Unavailable("Too many notifications wait already.", code="too_many_waiting")
