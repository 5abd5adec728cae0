"""The doctor: examines all that an installation depends on, and names the fix for each finding.

It connects to Redis, Stripe and the event service itself, so that it works when the service is
down. When the service answers, the doctor also compares its settings with those of this shell, and
sends a test event and a test notification through it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import requests

from doctor.endpoints import (
    enabled_addresses,
    endpoints_of,
    examine_connected,
    examine_deliveries,
    examine_endpoints,
)
from doctor.other_mode import events_of_other_mode
from doctor.rights import examine_key
from doctor.running import GUARDS, examine_running
from doctor.service import Service
from doctor.trials import event_trial, forgery_trial, is_this_service, notification_trial
from shared.errors import BillingError, Unavailable
from shared.printable import without_password
from shared.settings import CONNECT_TIMEOUT_SECONDS, Settings, read_settings
from shared.store.connection import open_store
from shared.store.durability import Finding, inspect
from shared.store.identity import identity_in, identity_of
from shared.store.refusals import refusal_of
from shared.store.scripts import Store
from shared.stripe.endpoints import WEBHOOK_PATH
from shared.stripe.gateway import API_VERSION, StripeGateway
from shared.work.dead_letters import DeadLetters
from shared.work.liveness import Alive, alive, is_recent

__all__ = ["STATUS", "Finding", "Service", "examine"]

Json = dict[str, Any]
# The settings without which a part cannot be examined.
REDIS = frozenset({"REDIS_URL"})
STRIPE = frozenset({"STRIPE_SECRET_KEY", "STRIPE_API_BASE", "STRIPE_MODE"})
EVENT_SERVICE = frozenset({"EVENT_SERVICE_URL", "EVENT_SERVICE_SECRET"})
SIGNING = STRIPE | {"STRIPE_WEBHOOK_SECRET"}
STATUS = {"ok": 0, "warning": 1, "error": 2}
# Seconds. A signature is valid for 300 s by our clock; a clock this far off will soon refuse them.
SKEW_WARNING_SECONDS = 5
SKEW_ERROR_SECONDS = 120
# Seconds. The alert ClockSkewed has the same limit.
PROCESS_SKEW_SECONDS = 2
SERVER_ERRORS = 500
# What several parts run into is told once: in words for an operator, and what to do.
TOLD_ONCE = {
    "stripe_unreachable": (
        "Stripe does not answer",
        "Check the network, and STRIPE_API_BASE where it is set.",
    ),
    "store_unavailable": ("Redis does not answer", "Check REDIS_URL, and that Redis runs."),
    "unauthorized": (
        "the service refuses the operator key (unauthorized)",
        "Give one of its OPERATOR_KEYS: --key, BILLING_OPERATOR_KEY, or OPERATOR_KEYS in .env.",
    ),
}


# What to do about a refusal of Redis, by its first word; else the part's own advice.
REFUSED = {
    "LOADING": "Wait until Redis has read its data from disk; its log shows the progress.",
    "MISCONF": "See the log of Redis, and free its disk.",
    "OOM": "See the runbook: StoreNearlyFull.",
    "NOPERM": "Give the user of REDIS_URL the rights that the runbook lists.",
}


@dataclass(frozen=True)
class Part:
    """One examination; `fix` is the advice when it cannot be made, `needs` names settings."""

    area: str
    look: Callable[[], Iterator[Finding]]
    fix: str
    needs: frozenset[str] = frozenset()


def examine(settings: Settings | None = None, service: Service | None = None) -> list[Finding]:
    """Examine everything; a part that cannot be examined is itself a finding.

    A setting that is missing or not valid is a finding, and only what needs it is left out. With a
    `service`, its settings are compared with those of this shell, and a signed test event and a
    signed test notification are sent through it. Raises nothing: each problem is a finding.
    """
    settings, problems = (settings, []) if settings else read_settings()
    wrong = {line.split()[0] for line in problems}
    if problems and "redis_url" not in settings.model_fields_set:
        wrong.add("REDIS_URL")  # the Redis of the default may belong to another service
    fix = "Set it in the environment or in .env."
    findings = [Finding("error", "settings", line, fix) for line in problems]
    store = open_store(settings, "billing-doctor")
    gateway = StripeGateway(settings, max_network_retries=0)
    parts = _parts(settings, store, gateway, service)
    if service is not None:
        parts += _parts_of_service(settings, gateway, service, is_complete=not problems)
    try:
        return findings + _all_of([part for part in parts if not part.needs & wrong])
    finally:
        store.redis.close()


def _parts(
    settings: Settings, store: Store, gateway: StripeGateway, service: Service | None
) -> list[Part]:
    """List the examinations that are made from here."""
    redis, repair = "Check REDIS_URL, and that Redis runs.", "Repair Redis first."
    stripe, endpoints = "Check STRIPE_SECRET_KEY and the network.", "Webhook Endpoints: read"
    return [
        Part("settings", lambda: _settings(settings, service), "", STRIPE),
        Part("redis", lambda: iter(inspect(store)), redis, REDIS),
        Part("redis", lambda: _identity(settings, store, gateway), redis, REDIS | STRIPE),
        Part("workers", lambda: _processes(store), repair, REDIS),
        Part("workers", lambda: _clocks(store), repair, REDIS),
        Part("stripe", lambda: events_of_other_mode(store), repair, REDIS),
        Part("stripe", lambda: _stripe(gateway), stripe, STRIPE),
        Part("stripe", lambda: examine_key(settings, gateway), "Check the network.", STRIPE),
        Part("stripe", lambda: _endpoints(settings, gateway), f"Give the key {endpoints}.", STRIPE),
        Part("event service", lambda: _event_service(settings), "", EVENT_SERVICE),
    ]


def _parts_of_service(
    settings: Settings, gateway: StripeGateway, service: Service, *, is_complete: bool
) -> list[Part]:
    """List the examinations through the running service."""
    start = "Start the API, or say where it is: --url, --key."
    ours = settings if is_complete else None
    check = "Check EVENT_SERVICE_URL."
    return [
        Part("service", lambda: examine_running(ours, service), start),
        Part("test event", lambda: _event_trials(settings, gateway, service), start, SIGNING),
        Part("notification", lambda: notification_trial(service), start),
        Part("notification", lambda: _forgery(settings), check, EVENT_SERVICE),
    ]


def _all_of(parts: list[Part]) -> list[Finding]:
    findings: list[Finding] = []
    for part in parts:
        try:
            findings += part.look()
        except BillingError as error:
            what, advice = _explain(error, part)
            if not any(finding.what == what for finding in findings):
                findings.append(Finding("error", part.area, what, advice))
    return findings


def _explain(error: BillingError, part: Part) -> tuple[str, str]:
    """Return what the error means for an operator, and what to do."""
    if refusal := refusal_of(error.__cause__):
        return f"Redis refuses: {refusal}", REFUSED.get(refusal.partition(" ")[0], part.fix)
    return TOLD_ONCE.get(error.code, (str(error), part.fix))


def _event_trials(
    settings: Settings, gateway: StripeGateway, service: Service
) -> Iterator[Finding]:
    """Send a test event to the API itself, and to every address that Stripe sends events to."""
    direct = service.url + WEBHOOK_PATH
    yield from event_trial(settings, service, direct)
    try:
        registered = enabled_addresses(endpoints_of(gateway)[0])
    except BillingError:
        return  # told by the examination of the endpoints
    for address in registered:
        if address != direct:
            yield from event_trial(settings, service, address)


def _forgery(settings: Settings) -> Iterator[Finding]:
    return forgery_trial(settings) if settings.event_service_secret else iter(())


def _identity(settings: Settings, store: Store, gateway: StripeGateway) -> Iterator[Finding]:
    """Compare whose data Redis holds with whose they should be; writes nothing."""
    try:
        account = gateway.account_id()
    except BillingError:
        account = ""  # told by the examination of Stripe
    theirs, ours = identity_in(store), identity_of(settings, account)
    pairs = [(asdict(theirs)[name], value) for name, value in asdict(ours).items() if value]
    if any(stored and stored != value for stored, value in pairs):
        yield Finding(
            "error",
            "redis",
            f"the data in this Redis are of another installation: {theirs}; this one is: {ours}",
            "Correct REDIS_URL or STRIPE_SECRET_KEY, or give each its own INSTALLATION.",
        )
    elif theirs.mode:
        yield Finding("ok", "redis", f"the data belong to this installation: {theirs}")
    else:
        yield Finding("ok", "redis", "no data yet: the first start writes mode and account")


def _settings(settings: Settings, service: Service | None) -> Iterator[Finding]:
    """Examine what is set here; who may come in, the running service tells itself."""
    mode = "live: real money" if settings.livemode else "test"
    yield Finding("ok", "settings", f"Stripe key: {mode}")
    if settings.stripe_api_base:
        yield Finding(
            "ok",
            "settings",
            f"the sandbox at {without_password(settings.stripe_api_base)} stands for Stripe",
        )
    secret = ("EVENT_SERVICE_SECRET", settings.event_service_secret, "notifications are not signed")
    is_closed = settings.livemode or settings.api_keys
    ops = "nobody can use /ops and the console" if is_closed else GUARDS["OPERATOR_KEYS"]
    keys = (
        ("API_KEYS", settings.api_keys, GUARDS["API_KEYS"]),
        ("OPERATOR_KEYS", settings.operator_keys, ops),
    )
    for name, value, danger in [secret, *(keys if service is None else ())]:
        if value:
            yield Finding("ok", "settings", f"{name} is set")
        else:
            yield Finding("warning", "settings", f"{name} is not set: {danger}", f"Set {name}.")


def _processes(store: Store) -> Iterator[Finding]:
    signs = alive(store)
    yield _upkeep(signs)
    yield from (_workers_of(queue, signs) for queue in signs.queues)
    for process in signs.stuck_processes():
        yield Finding(
            "error",
            "workers",
            f"the worker {process} is stuck: none of its threads makes progress",
            "Restart it, and keep its log: others do its work when its leases end.",
        )
    for kind, count in DeadLetters(store).count().items():
        if count:
            fix = f"List them: ./billing dead-letters list --kind {kind}"
            yield Finding("warning", "dead letters", f"{count} {kind} were given up", fix)


def _upkeep(signs: Alive) -> Finding:
    if signs.upkeep_is_silent():
        return Finding(
            "error",
            "upkeep",
            "no upkeep process runs: retries and lost doorbells wait",
            "Start upkeep: python -m worker.upkeep.",
        )
    return Finding("ok", "upkeep", f"{_recent(signs.upkeep)} process(es) run")


def _workers_of(queue: str, signs: Alive) -> Finding:
    if queue in signs.silent_queues():
        return Finding(
            "error",
            "workers",
            f"no worker serves the queue {queue}",
            "Start or restart a worker: python -m worker.",
        )
    if queue in signs.quiet_queues():
        return Finding(
            "warning",
            "workers",
            f"whether a worker serves the queue {queue} cannot be told without upkeep",
            "Start upkeep first: it rings on idle queues.",
        )
    count = _recent(signs.queues[queue])
    return Finding("ok", "workers", f"{count} worker(s) serve the queue {queue}")


def _recent(signs: dict[str, float]) -> int:
    """Count whoever gave a sign just now: one that ended is remembered for minutes."""
    return sum(map(is_recent, signs.values()))


def _clocks(store: Store) -> Iterator[Finding]:
    for process, seconds in alive(store).clocks.items():
        if abs(seconds) > PROCESS_SKEW_SECONDS:
            what = f"the clock of {process} differs from Redis's by {seconds:.1f} s"
            yield Finding("warning", "workers", what, "Correct the clock of that host (NTP).")


def _stripe(gateway: StripeGateway) -> Iterator[Finding]:
    theirs, ours = gateway.server_time()
    skew = abs(theirs - ours)
    level: Any = "ok" if skew <= SKEW_WARNING_SECONDS else "warning"
    level = "error" if skew > SKEW_ERROR_SECONDS else level
    fix = "" if level == "ok" else "Correct the clock (NTP): webhooks are refused."
    yield Finding(level, "stripe", f"Stripe answers; its clock and ours differ by {skew} s", fix)
    yield Finding("ok", "stripe", f"this service speaks API version {API_VERSION}")


def _endpoints(settings: Settings, gateway: StripeGateway) -> Iterator[Finding]:
    endpoints, refusal = endpoints_of(gateway)
    if refusal and not enabled_addresses(endpoints):
        what = f"destinations of thin events cannot be listed: {refusal}"
        yield Finding("warning", "stripe", what, "Give the key Event Destinations: read.")
    yield from examine_endpoints(settings, endpoints)
    yield from examine_connected(gateway, endpoints)
    yield from examine_deliveries(gateway, int(time.time()))


def _event_service(settings: Settings) -> Iterator[Finding]:
    address = without_password(settings.event_service_url)
    if is_this_service(settings.event_service_url):
        what = f"the event service at {address} is a billing API"
        fix = "Set EVENT_SERVICE_URL to the service that takes notifications."
        yield Finding("error", "event service", what, fix)
        return
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
