"""Print when everything runs, the addresses, and a command to try."""

from __future__ import annotations

import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from local.surroundings import api_url

READY_LIMIT_SECONDS = 60.0  # a cold start on a slow laptop takes about 15
POLL_SECONDS = 0.2  # between two checks: fast for a person, no load for a server
ANSWER_LIMIT_SECONDS = 2.0  # for one check
RULE = "─" * 78


@dataclass(frozen=True)
class Place:
    """An address for a person, and the one that shows whether it answers."""

    name: str
    url: str
    probe: str
    note: str = ""


def places(environment: Mapping[str, str], names: list[str]) -> list[Place]:
    """Return the addresses of the processes `names`, in the order of the output."""

    def at(variable: str) -> str:
        return f"http://127.0.0.1:{environment.get(variable)}"

    all_places = {
        "api": Place(
            "API", api_url(environment), "/health/ready", "try it: /docs; operate it: /console"
        ),
        "flower": Place("Flower", at("FLOWER_PORT"), "/healthcheck", "queues and workers"),
        "sandbox": Place("sandbox", at("SANDBOX_PORT"), "/", "simulates Stripe: payments, events"),
        "receiver": Place(
            "event service", at("RECEIVER_PORT"), "/health", "the notifications it received"
        ),
    }
    return [place for name, place in all_places.items() if name in names]


def wait_until_ready(visited: list[Place]) -> list[Place]:
    """Wait until all answer, or for a minute; return those that still do not."""
    give_up_at = time.monotonic() + READY_LIMIT_SECONDS
    silent = visited
    while True:
        silent = [place for place in silent if not _answers(place.url + place.probe)]
        if not silent or time.monotonic() > give_up_at:
            return silent
        time.sleep(POLL_SECONDS)


def announce(visited: list[Place], lines: list[str], say: Callable[[str], None]) -> None:
    """Wait until all addresses answer, then print them, followed by `lines`."""
    silent = wait_until_ready(visited)
    if silent:
        names = ", ".join(f"{place.name} ({place.url}{place.probe})" for place in silent)
        say(f"\n{RULE}\nNot ready after {READY_LIMIT_SECONDS:.0f} s: {names}\n{RULE}\n")
        return
    rows = [f"  {place.name:<15}{place.url:<26}{place.note}" for place in visited]
    say("\n".join(["", RULE, "The billing service is ready.", "", *rows, *lines, RULE, ""]))


def things_to_try(environment: Mapping[str, str], *, sandbox: bool) -> list[str]:
    """Return the last lines of the output: which Stripe is used, and a command to try."""
    api = api_url(environment)
    key = environment.get("API_KEYS", "").split(",")[0].strip()
    if not sandbox:
        base = environment.get("STRIPE_API_BASE")
        stripe = f"Calls to Stripe go to {base}." if base else "Calls go to the real Stripe."
        return ["", f"{stripe} Ctrl-C stops everything."]
    return [
        "",
        "The sandbox simulates Stripe: no money moves. In another window, try `make demo` or:",
        "",
        f"  curl {shlex.quote(api + '/api/payment/process')} \\",
        "    -H 'Content-Type: application/json' \\",
        *(["    -H 'Authorization: Bearer <one of API_KEYS>' \\"] if key else []),
        '    -d \'{"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}\'',
        "",
        "Ctrl-C stops everything; the next start continues with the same data.",
    ]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_LIMIT_SECONDS):  # noqa: S310  # our own http address
            return True
    except urllib.error.HTTPError as error:
        # It answers; only a 503 ("not ready yet") and the like mean that it cannot serve.
        return error.code < HTTPStatus.INTERNAL_SERVER_ERROR
    except OSError:
        return False
