"""The doctor: examines all that an installation depends on, and names the fix for each finding.

It asks Redis, Stripe and the event service by itself, with the service's own settings: it has to
work when nothing else does. Run it where the service runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import requests

import worker.handlers  # noqa: F401 - fills the registry
from shared.errors import BillingError, Misconfigured, Unavailable
from shared.printable import without_password
from shared.settings import CONNECT_TIMEOUT_SECONDS, Settings, load_settings
from shared.store.connection import open_store
from shared.store.durability import Finding, inspect
from shared.store.scripts import Store
from shared.stripe.gateway import API_VERSION, StripeGateway
from shared.work.dead_letters import DeadLetters
from shared.work.liveness import alive
from worker.registry import handled_types

__all__ = ["STATUS", "Finding", "examine"]

Json = dict[str, Any]
STATUS = {"ok": 0, "warning": 1, "error": 2}
WEBHOOK_PATH = "/api/webhook"
# Stripe's signatures hold for 300 s by our clock; a clock this far off will soon refuse them.
SKEW_WARNING_SECONDS = 5
SKEW_ERROR_SECONDS = 120
SERVER_ERRORS = 500


def examine(settings: Settings | None = None) -> list[Finding]:
    """Examine everything; a part that cannot be examined is itself a finding.

    Raises nothing: what is wrong, or does not answer, is among the findings.
    """
    try:
        settings = settings or load_settings()
    except Misconfigured as error:
        return [
            Finding("error", "settings", line, "Set it in the environment or in .env.")
            for line in error.detail.splitlines()
        ]
    store = open_store(settings, "billing-doctor")
    gateway = StripeGateway(settings, max_network_retries=0)
    parts: list[tuple[str, Callable[[], Iterator[Finding]], str]] = [
        ("settings", lambda: _settings(settings), ""),
        ("redis", lambda: iter(inspect(store)), "Check REDIS_URL, and that Redis runs."),
        ("workers", lambda: _processes(store), "Repair Redis first."),
        ("stripe", lambda: _stripe(settings, gateway), "Check STRIPE_SECRET_KEY and the network."),
        ("event service", lambda: _event_service(settings), ""),
    ]
    findings: list[Finding] = []
    for area, look, fix in parts:
        try:
            findings += look()
        except BillingError as error:
            findings.append(Finding("error", area, str(error), fix))
    store.redis.close()
    return findings


def _settings(settings: Settings) -> Iterator[Finding]:
    mode = "live: real money" if settings.livemode else "test"
    yield Finding("ok", "settings", f"Stripe key: {mode}")
    if settings.stripe_api_base:
        yield Finding(
            "ok",
            "settings",
            f"the sandbox at {without_password(settings.stripe_api_base)} stands for Stripe",
        )
    for name, given, fix in (
        ("API_KEYS", settings.api_keys, "anybody who reaches the API can pay and refund"),
        (
            "OPERATOR_KEYS",
            settings.operator_keys,
            "/ops and /metrics are open, or closed, to all",
        ),
        ("EVENT_SERVICE_SECRET", settings.event_service_secret, "notifications are not signed"),
    ):
        if given:
            yield Finding("ok", "settings", f"{name} is set")
        else:
            yield Finding("warning", "settings", f"{name} is not set: {fix}", f"Set {name}.")


def _processes(store: Store) -> Iterator[Finding]:
    signs = alive(store)
    for queue in signs.queues:
        if queue in signs.silent_queues():
            yield Finding(
                "error",
                "workers",
                f"no worker serves the queue {queue}",
                "Start or restart a worker: python -m worker.",
            )
        else:
            yield Finding(
                "ok", "workers", f"{len(signs.queues[queue])} worker(s) serve the queue {queue}"
            )
    if signs.upkeep_is_silent():
        yield Finding(
            "error",
            "upkeep",
            "no upkeep process runs: retries and lost doorbells wait",
            "Start upkeep: python -m worker.upkeep.",
        )
    else:
        yield Finding("ok", "upkeep", f"{len(signs.upkeep)} process(es) run")
    for kind, count in DeadLetters(store).count().items():
        if count:
            fix = f"List them: ./billing dead-letters list --kind {kind}"
            yield Finding("warning", "dead letters", f"{count} {kind} were given up", fix)


def _stripe(settings: Settings, gateway: StripeGateway) -> Iterator[Finding]:
    theirs, ours = gateway.server_time()
    skew = abs(theirs - ours)
    level = "ok" if skew <= SKEW_WARNING_SECONDS else "warning"
    level = "error" if skew > SKEW_ERROR_SECONDS else level
    fix = "" if level == "ok" else "Correct the clock (NTP): webhooks are refused."
    yield Finding(level, "stripe", f"Stripe answers; its clock and ours differ by {skew} s", fix)  # type: ignore[arg-type]  # a Level
    yield Finding("ok", "stripe", f"this service speaks API version {API_VERSION}")
    yield from _endpoints(settings, gateway.webhook_endpoints())


def _endpoints(settings: Settings, endpoints: list[Json]) -> Iterator[Finding]:
    ours = [e for e in endpoints if urlsplit(e["url"]).path.rstrip("/") == WEBHOOK_PATH]
    enabled = [e for e in ours if e["status"] == "enabled"]
    if not enabled:
        what = "no enabled webhook endpoint has the path " + WEBHOOK_PATH
        level = "error" if settings.livemode else "warning"
        fix = "Register https://…/api/webhook with the types that bin/stripe-events prints "
        yield Finding(level, "stripe", what, fix + "(or forward with stripe listen).")  # type: ignore[arg-type]  # a Level
    for endpoint in enabled:
        yield from _endpoint(settings, endpoint)


def _endpoint(settings: Settings, endpoint: Json) -> Iterator[Finding]:
    where = f"webhook endpoint {endpoint['id']} ({without_password(endpoint['url'])})"
    if settings.livemode and not endpoint["url"].startswith("https://"):
        yield Finding("error", "stripe", f"{where} is not https", "Register an https URL.")
    missing = set(handled_types()) - set(endpoint["enabled_events"])
    if "*" in endpoint["enabled_events"]:
        missing = set()
    if missing:
        fix = "Enable the types that bin/stripe-events prints."
        yield Finding(
            "warning", "stripe", f"{where} does not send {', '.join(sorted(missing))}", fix
        )
    else:
        yield Finding("ok", "stripe", f"{where} sends every type that this service handles")
    version = endpoint.get("api_version")
    if version not in (None, API_VERSION):
        what = f"{where} sends API version {version}, this service speaks {API_VERSION}"
        yield Finding(
            "warning",
            "stripe",
            what,
            "Create an endpoint of that version; see the upgrade in docs/runbook.md.",
        )


def _event_service(settings: Settings) -> Iterator[Finding]:
    address = without_password(settings.event_service_url)
    try:
        answer = requests.get(
            settings.event_service_url,
            timeout=CONNECT_TIMEOUT_SECONDS,
            allow_redirects=False,
            stream=True,
        )
    except requests.RequestException as error:
        raise Unavailable(
            f"the event service at {address} does not answer ({type(error).__name__}); "
            "notifications wait. Check EVENT_SERVICE_URL and the network.",
            code="event_service_unreachable",
        ) from error
    answer.close()
    if answer.status_code >= SERVER_ERRORS:
        what = f"the event service at {address} answers with status {answer.status_code}"
        yield Finding("warning", "event service", what, "Read the logs of the event service.")
    else:
        yield Finding("ok", "event service", f"the event service at {address} answers")
