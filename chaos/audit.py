"""The audit: compare Stripe's books with the customers' answers and the notifications. Pure.

The required notifications are computed from Stripe's books by other code than the service's own, so
that one mistake cannot hide the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from chaos.customers import Request

Json = dict[str, Any]
Fact = tuple[str, str]
OK = range(200, 300)
ACCEPTED, UNAVAILABLE = 202, 503
# Stripe's events that must always be notified, whatever comes before or after them.
ALWAYS_NOTIFIED = {
    "payment_intent.succeeded": "payment.succeeded",
    "payment_intent.canceled": "payment.canceled",
    "payment_intent.payment_failed": "payment.failed",
    "charge.dispute.funds_withdrawn": "dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated": "dispute.funds_reinstated",
}
CLOSED = {"won": "dispute.won", "lost": "dispute.lost", "warning_closed": "dispute.closed"}
# Statuses that the API may answer while its peers fail.
HONEST_REFUSALS = ("409", "503", "no_answer")


@dataclass
class Evidence:
    """The data of the audit, collected when all work had ended."""

    books: Json
    notifications: list[Json]
    payments: list[Request]
    refunds: list[Request]
    events: dict[str, dict[str, str]]
    refund_jobs: dict[str, Json]
    died: list[str]
    stopped_badly: list[str]
    # Redis lost its data: sequences began again, so bodies differ in them.
    wiped: bool = False


@dataclass
class Findings:
    """Counts for information, and violations by kind, each with its object."""

    counts: dict[str, int] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Say whether every promise was kept."""
        return not any(self.violations.values())


def audit(evidence: Evidence) -> Findings:
    """Check every promise; the list of violations of a kept promise is empty."""
    notifications = [entry for entry in evidence.notifications if entry["answered"] in OK]
    findings = Findings()
    findings.violations = {
        "lost": _lost_facts(evidence, notifications),
        "double_charges": _double_charges(evidence),
        "double_refunds": _double(evidence.books["refunds"], "return"),
        "unanswered_requests": _requests_without_answer(evidence),
        "answers_that_contradict": _contradictions(evidence),
        "dishonest_answers": _dishonest(evidence) + _dishonest_to_stripe(evidence),
        "two_ids_for_one_fact": _two_ids(notifications),
        "one_id_with_two_bodies": [] if evidence.wiped else _two_bodies(evidence.notifications),
        "order_violations": [] if evidence.wiped else _disorder(notifications),
        "sequence_gaps": [] if evidence.wiped else _gaps(notifications),
        "bad_signatures": [e["id"] for e in evidence.notifications if not e["verified"]],
        "webhook_200_not_processed": _acknowledged_not_processed(evidence),
        "events_not_processed": _not_processed(
            evidence, {e["id"] for e in evidence.books["events"]}
        ),
        "accepted_202_without_effect": _without_effect(evidence),
        "processes_that_ended_by_themselves": evidence.died,
        "processes_that_stopped_badly": evidence.stopped_badly,
    }
    findings.counts = _counts(evidence, notifications)
    return findings


def expected_facts(books: Json) -> set[Fact]:
    """List the notifications that must have been sent: (type, object's id), by Stripe's books."""
    facts = {
        (ALWAYS_NOTIFIED[event["type"]], event["object"])
        for event in books["events"]
        if event["type"] in ALWAYS_NOTIFIED
    }
    facts |= {(f"refund.{refund['status']}", refund["id"]) for refund in books["refunds"]}
    for dispute in books["disputes"]:
        facts.add((CLOSED.get(dispute["status"], "dispute.opened"), dispute["id"]))
    return facts


def fact_of(notification: Json) -> Fact:
    """Return the type and object of a notification in the same form."""
    kind, data = notification["type"], notification["data"]
    family = kind.partition(".")[0]
    if family == "payment":
        return kind, data["payment_intent_id"]
    if family == "dispute":
        return kind, data["dispute_id"]
    # A refund that Stripe refused has no id; the customer's name for it is in its metadata.
    return kind, data["refund_id"] or data["metadata"].get("return", "?")


def _lost_facts(evidence: Evidence, notifications: list[Json]) -> list[str]:
    facts = expected_facts(evidence.books)
    returns = {refund["metadata"].get("return") for refund in evidence.books["refunds"]}
    for request in evidence.refunds:
        if request.answer and request.answer[0] == ACCEPTED and request.key not in returns:
            facts.add(("refund.failed", request.key))
    delivered_facts = {fact_of(entry["body"]) for entry in notifications}
    return sorted(f"{kind} {subject}" for kind, subject in facts - delivered_facts)


def _double(records: list[Json], name: str) -> list[str]:
    """List the customers' names that are on more than one record."""
    names = Counter(record["metadata"].get(name) for record in records)
    return sorted(str(key) for key, count in names.items() if key and count > 1)


def _double_charges(evidence: Evidence) -> list[str]:
    twice = _double(evidence.books["payment_intents"], "order")
    prices = {request.key: request.body["amount"] for request in evidence.payments}
    for payment in evidence.books["payments"]:
        order = payment["metadata"].get("order")
        if payment["taken"] > prices.get(order, 0):
            twice.append(f"{order} {payment['payment_intent']} took {payment['taken']}")
    return twice


def _requests_without_answer(evidence: Evidence) -> list[str]:
    return [r.key for r in evidence.payments + evidence.refunds if r.answer is None]


def _contradictions(evidence: Evidence) -> list[str]:
    """List keys with different answers, and answers with a payment that Stripe does not have."""
    intents = {i["metadata"].get("order"): i["id"] for i in evidence.books["payment_intents"]}
    wrong = []
    for request in evidence.payments:
        payment_ids = {answer.get("payment_intent_id") for _, answer in request.answers}
        if request.answers and payment_ids != {intents.get(request.key)}:
            wrong.append(f"{request.key}: {payment_ids} but Stripe has {intents.get(request.key)}")
    return wrong + [
        request.key
        for request in evidence.refunds
        if len({answer.get("refund_request_id") for _, answer in request.answers}) > 1
    ]


def _dishonest(evidence: Evidence) -> list[str]:
    return [
        f"{request.key}: {status}"
        for request in evidence.payments + evidence.refunds
        for status in request.refused
        if status not in HONEST_REFUSALS
    ]


def _dishonest_to_stripe(evidence: Evidence) -> list[str]:
    """List webhooks with another answer than 200, 503 or none: Stripe may give up on these."""
    return [
        f"{delivery['event']}: {attempt['status']}"
        for delivery in evidence.books["deliveries"]
        for attempt in delivery["attempts"]
        if attempt["status"] not in (200, UNAVAILABLE, None)
    ]


def _two_ids(notifications: list[Json]) -> list[str]:
    ids: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for entry in notifications:
        # A dispute is updated once for each status; everything else happens once to an object.
        status = (
            entry["body"]["data"]["status"] if entry["body"]["type"] == "dispute.updated" else ""
        )
        ids[*fact_of(entry["body"]), status].add(entry["id"])
    return sorted(
        f"{fact}: {sorted(notification_ids)}"
        for fact, notification_ids in ids.items()
        if len(notification_ids) > 1
    )


def _two_bodies(arrivals: list[Json]) -> list[str]:
    bodies: dict[str, Json] = {}
    return sorted({e["id"] for e in arrivals if bodies.setdefault(e["id"], e["body"]) != e["body"]})


def _first_arrivals(notifications: list[Json]) -> dict[str, list[int]]:
    """Return the sequences of each payment in the order of their first acceptance."""
    ids: set[str] = set()
    sequences: defaultdict[str, list[int]] = defaultdict(list)
    for entry in notifications:
        if entry["id"] not in ids:
            ids.add(entry["id"])
            payment = entry["body"]["data"]["payment_intent_id"]
            sequences[payment].append(entry["body"]["sequence"])
    return sequences


def _disorder(notifications: list[Json]) -> list[str]:
    return [
        f"{payment}: {sequence}"
        for payment, sequence in _first_arrivals(notifications).items()
        if any(later <= earlier for earlier, later in pairwise(sequence))
    ]


def _gaps(notifications: list[Json]) -> list[str]:
    return [
        f"{payment}: {sequence}"
        for payment, sequence in _first_arrivals(notifications).items()
        if sorted(sequence) != list(range(1, len(sequence) + 1))
    ]


def _not_processed(evidence: Evidence, ids: Iterable[str]) -> list[str]:
    states = ((event_id, evidence.events.get(event_id, {}).get("state")) for event_id in ids)
    return sorted(
        f"{id_} is {state}" for id_, state in states if state not in ("processed", "ignored")
    )


def _acknowledged_not_processed(evidence: Evidence) -> list[str]:
    acknowledged = {
        delivery["event"]
        for delivery in evidence.books["deliveries"]
        if any(attempt["status"] in OK for attempt in delivery["attempts"])
    }
    return _not_processed(evidence, acknowledged)


def _without_effect(evidence: Evidence) -> list[str]:
    at_stripe = {refund["metadata"].get("return") for refund in evidence.books["refunds"]}
    idle = []
    for request in evidence.refunds:
        if request.answer is None or request.answer[0] not in OK:
            continue
        job = evidence.refund_jobs.get(request.answer[1]["refund_request_id"], {})
        if job.get("status") != "failed" and request.key not in at_stripe:
            idle.append(f"{request.key}: {job.get('status', 'unknown')}")
    return idle


def _counts(evidence: Evidence, notifications: list[Json]) -> dict[str, int]:
    books = evidence.books
    requests = evidence.payments + evidence.refunds
    attempts = [(d["event"], a["status"]) for d in books["deliveries"] for a in d["attempts"]]
    acknowledged = [event for event, status in attempts if status in OK]
    return {
        "payments": len(books["payment_intents"]),
        "refunds": len(books["refunds"]),
        "disputes": len(books["disputes"]),
        "events": len(books["events"]),
        "notifications": len({entry["id"] for entry in notifications}),
        "requests_repeated": sum(request.tries - 1 for request in requests),
        "webhook_attempts": len(attempts),
        "webhooks_answered_503": sum(status == UNAVAILABLE for _, status in attempts),
        "webhooks_without_answer": sum(status is None for _, status in attempts),
        "duplicate_webhooks_suppressed": len(acknowledged) - len(set(acknowledged)),
        "stripe_calls_replayed": books["idempotency"]["replays"],
        "delivery_attempts": len(evidence.notifications),
        "notifications_sent_again": len(notifications)
        - len({entry["id"] for entry in notifications}),
        "events_retried_after_a_crash": sum(
            int(event.get("crashes", 0)) > 0 for event in evidence.events.values()
        ),
    }
