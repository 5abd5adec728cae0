"""The sandbox over a long time: limited memory, a quick stop, one clock."""

from __future__ import annotations

import time
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import requests

from tests import servers
from tests.stopwatch import Stopwatch

AUTH = {"Authorization": "Bearer sk_test_endurance"}
KEEP = 30
DAY_SECONDS = 86_400


def pay(url: str) -> Any:
    form = {
        "amount": 1000,
        "currency": "sgd",
        "confirm": "true",
        "payment_method": "pm_card_visa",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
    }
    return requests.post(f"{url}/v1/payment_intents", form, headers=AUTH, timeout=5).json()


def list_all(url: str, path: str) -> list[Any]:
    rows: list[Any] = []
    query: dict[str, Any] = {"limit": 100}
    while True:
        page = requests.get(f"{url}{path}", query, headers=AUTH, timeout=5).json()
        rows += page["data"]
        if not page["has_more"]:
            return rows
        query["starting_after"] = page["data"][-1]["id"]


def test_the_newest_are_kept_over_a_restart_and_no_more(tmp_path: Path) -> None:
    state = str(tmp_path / "sandbox.jsonl")
    with (
        ExitStack() as running,
        servers.sandbox(SANDBOX_KEEP=str(KEEP), SANDBOX_STATE=state) as url,
    ):
        payments = [pay(url)["id"] for _ in range(3 * KEEP)]
        newest = [payment["id"] for payment in list_all(url, "/v1/payment_intents")]
        assert newest == payments[: -KEEP - 1 : -1]
        assert len(list_all(url, "/v1/events")) == KEEP
        too_old = f"{url}/v1/payment_intents/{payments[0]}"
        assert requests.get(too_old, headers=AUTH, timeout=5).status_code == 404
        watch = running.enter_context(Stopwatch())
    assert watch.seconds < 5
    with servers.sandbox(SANDBOX_KEEP=str(KEEP), SANDBOX_STATE=state) as url:
        assert [payment["id"] for payment in list_all(url, "/v1/payment_intents")] == newest


def test_every_answer_has_the_date_of_the_sandboxs_own_clock() -> None:
    with servers.sandbox() as url:
        paths = ("/v1/events", "/_sandbox/clock", "/")
        requests.post(
            f"{url}/_sandbox/clock", json={"advance_seconds": DAY_SECONDS}, timeout=5
        ).raise_for_status()
        for path in paths:
            answer = requests.get(f"{url}{path}", headers=AUTH, timeout=5)
            ahead = parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
            assert abs(ahead - DAY_SECONDS) < 5, path
        created = pay(url)["created"]
        assert abs(created - DAY_SECONDS - time.time()) < 5
