"""The official Node SDK, which reads the same answers and is stricter about some."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.contract.side import Side
from tests.contract.witness import Witness

STORY = Path(__file__).parent / "node/scenario.cjs"


def test_the_node_sdk_plays_its_story(node_sdk: Path, side: Side, witness: Witness) -> None:
    run = subprocess.run(
        ["node", str(STORY), str(node_sdk), witness.url, side.key],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "status": "succeeded",
        "charge": "charge",
        "metadata": {"event_id": "E1"},
        "refund": "succeeded",
        "declined": {
            "type": "StripeCardError",
            "code": "card_declined",
            "declineCode": "generic_decline",
            "status": 402,
        },
        "missing": {
            "type": "StripeInvalidRequestError",
            "code": "resource_missing",
            "status": 404,
        },
        "usedUp": {"type": "StripeInvalidRequestError", "status": 400},
        "ignored": {
            "type": "StripeInvalidRequestError",
            "code": "parameter_not_simulated",
            "status": 400,
        },
        "released": [1500, 0, False],
        "thin": ["v1.payment_intent.succeeded"],
        "pagesAgree": True,
        "event": "ping",
    }
