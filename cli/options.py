"""The options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Kind(StrEnum):
    """The kinds of items."""

    EVENTS = "events"
    REFUNDS = "refunds"
    NOTIFICATIONS = "notifications"


class EventState(StrEnum):
    """The states of an event."""

    RECEIVED = "received"
    PROCESSING = "processing"
    RETRYING = "retrying"
    PROCESSED = "processed"
    IGNORED = "ignored"
    DEAD = "dead"


StripeEventId = Annotated[str, typer.Argument(help="Stripe's id of the event: evt_….")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="BILLING_URL",
        help="Address of the billing API. Default: port PORT on this machine.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="BILLING_OPERATOR_KEY",
        help="Operator key. Default: the first of OPERATOR_KEYS in the environment or .env.",
    ),
]
OfKind = Annotated[Kind | None, typer.Option("--kind", help="Only items of this kind.")]
Type = Annotated[
    str | None,
    typer.Option("--type", help="Only items whose type matches a pattern: 'payment_intent.*'."),
]
Error = Annotated[
    str | None, typer.Option("--error", help="Only items whose last error contains this text.")
]
Payment = Annotated[str | None, typer.Option("--payment", help="Only items of this payment.")]
Since = Annotated[
    str | None,
    typer.Option("--since", help="Only items since this time (RFC 3339): 2026-11-23T00:00:00Z."),
]
Until = Annotated[
    str | None, typer.Option("--until", help="Only items up to this time (RFC 3339).")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Stop after this many items.")]
Reason = Annotated[str, typer.Option("--reason", help="Your reason, for the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


def metadata_pairs(metadata: list[str] | None) -> dict[str, str]:
    """Read the values of `--metadata key=value`. Raises `typer.BadParameter` for anything else."""
    pairs = [one.partition("=") for one in metadata or []]
    if any(not key or not value for key, _, value in pairs):
        raise typer.BadParameter("--metadata takes key=value")
    return {key: value for key, _, value in pairs}
