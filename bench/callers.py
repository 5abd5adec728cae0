"""The CPU cost of a payment and of a refund request for the API, and the share of Stripe's SDK.

The SDK's share is measured by the same call in this process, through our gateway.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

import requests

from bench._setting import cpu_cost, head, row, settings_of, size_of_run
from chaos.stage import Stage
from shared.stripe.gateway import StripeGateway

PAYMENT = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
WARM_UP = 20
CALL_SECONDS = 30


def main() -> None:
    """Measure and print."""
    count = size_of_run(500, 40)
    with Stage(only=("valkey", "sandbox", "api"), API_WORKERS="1") as stage:
        api, here = stage.services["api"].pid, os.getpid()
        gateway = StripeGateway(settings_of(stage))
        with requests.Session() as session:
            payment_id = _post(session, stage, "payment", PAYMENT)["payment_intent_id"]
            refund = {"payment_intent_id": payment_id, "amount": 1}
            head(f"{count} requests, one process, CPU in ms", "request", "in all", "the SDK's call")
            for name, pid, work, sdk in (
                ("payment", api, lambda: _post(session, stage, "payment", PAYMENT), True),
                ("refund (202)", api, lambda: _post(session, stage, "refund", refund), False),
            ):
                mine = _cost(here, lambda: _call(gateway), count) if sdk else 0.0
                row(name, f"{_cost(pid, work, count):.2f}", f"{mine:.2f}")


def _cost(pid: int, work: Callable[[], object], count: int) -> float:
    """Return the CPU time of one call of `work` in ms."""
    for _ in range(WARM_UP):
        work()
    _, cost = cpu_cost(pid, lambda: [work() for _ in range(count)])
    return cost.cpu_seconds / count * 1000


def _post(
    session: requests.Session, stage: Stage, what: str, body: dict[str, object]
) -> dict[str, str]:
    answer = session.post(f"{stage.api}/api/{what}/process", json=body, timeout=CALL_SECONDS)
    answer.raise_for_status()
    fields: dict[str, str] = answer.json()
    return fields


def _call(gateway: StripeGateway) -> object:
    key = secrets.token_hex(8)
    return gateway.create_payment(params=dict(PAYMENT), return_url=None, idempotency_key=key)


if __name__ == "__main__":
    main()
