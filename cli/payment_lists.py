"""`./billing payments`: lists and sums of payments."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from cli import output
from cli.client import Client
from cli.money import money
from cli.options import AsJson, Key, Limit, Url, metadata_pairs

Json = dict[str, Any]
payments = typer.Typer(
    help="List payments, or sum them up, as Stripe's events reported them.", no_args_is_help=True
)
COLUMNS = ("created", "payment_id", "status", "amount", "refunded", "customer_email", "event_id")


class Status(StrEnum):
    """Stripe's statuses of a payment."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    CANCELED = "canceled"
    SUCCEEDED = "succeeded"


Event = Annotated[str | None, typer.Option("--event", help="Only payments of this event_id.")]
User = Annotated[str | None, typer.Option("--user", help="Only payments of this user_id.")]
Order = Annotated[str | None, typer.Option("--order", help="Only payments of this order_id.")]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata", help="Only payments with this value of a key in INDEXED_METADATA: seat=12."
    ),
]
Email = Annotated[
    str | None, typer.Option("--email", help="Only payments with this e-mail address.")
]
InStatus = Annotated[Status | None, typer.Option("--status", help="Only payments in this status.")]
Disputed = Annotated[
    bool | None,
    typer.Option("--disputed/--undisputed", help="Only payments with a dispute, or without one."),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", help="Only payments made since this time (RFC 3339): 2026-11-23T00:00:00Z."
    ),
]
Until = Annotated[
    str | None, typer.Option("--until", help="Only payments made before this time (RFC 3339).")
]


@payments.command("list")
def list_payments(
    event: Event = None,
    user: User = None,
    order: Order = None,
    metadata: Metadata = None,
    email: Email = None,
    status: InStatus = None,
    disputed: Disputed = None,
    dead: Annotated[
        bool | None, typer.Option("--dead", help="Only payments with dead letters.")
    ] = None,
    since: Since = None,
    until: Until = None,
    after: Annotated[
        str | None, typer.Option("--after", help="Continue after this payment, for the next page.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List payments, newest first."""
    page = Client(url, key).get(
        "/payments",
        event_id=event,
        user_id=user,
        order_id=order,
        **metadata_pairs(metadata),
        email=email,
        status=status,
        disputed=disputed,
        dead=dead,
        since=since,
        until=until,
        starting_after=after,
        limit=limit,
    )
    if as_json:
        output.as_json(page)
    elif not page["data"]:
        output.print_line("No payments found.")
    else:
        output.table([_row(payment) for payment in page["data"]], *COLUMNS)
        if not page["complete"]:
            last = page["data"][-1]["payment_id"]
            output.print_line(f"There may be more payments; continue with --after {last}.")


@payments.command("sums")
def sum_payments(
    event: Event = None,
    user: User = None,
    order: Order = None,
    metadata: Metadata = None,
    email: Email = None,
    status: InStatus = None,
    disputed: Disputed = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Sum payments up by status and currency, with Stripe's fees and net amounts."""
    sums = Client(url, key).get(
        "/payment-sums",
        event_id=event,
        user_id=user,
        order_id=order,
        **metadata_pairs(metadata),
        email=email,
        status=status,
        disputed=disputed,
        since=since,
        until=until,
    )
    if as_json:
        output.as_json(sums)
    elif not sums["payments"]:
        output.print_line("No payments found.")
    else:
        _show_sums(sums)


def _row(payment: Json) -> Json:
    currency, flags = payment["currency"], []
    if payment["dispute"]:
        flags.append(f"dispute {payment['dispute']}")
    if payment["dead"]:
        flags.append(f"{payment['dead']} dead")
    return payment | {
        "created": output.second(payment["created"]),
        "status": ", ".join([payment["status"] or "unknown", *flags]),
        "amount": money(payment["amount"], currency),
        "refunded": money(payment["amount_refunded"] or None, currency),
    }


def _show_sums(sums: Json) -> None:
    columns = ("status", "payments", "disputed", "received", "refunded")
    output.table([_sum_row(one) for one in sums["sums"]], *columns)
    for settled in sums["settled"]:
        currency = settled["settlement_currency"]
        fee, net = (money(settled[name], currency) for name in ("fee", "net"))
        number = settled["payments"]
        payments = "payment" if number == 1 else "payments"
        output.print_line(f"Settled: {number} {payments}, fee {fee}, net {net}")
    if not sums["complete"]:
        output.print_line(f"Only the newest {sums['payments']} payments were summed up.")


def _sum_row(one: Json) -> Json:
    currency = one["currency"]
    return one | {
        "received": money(one["amount_received"], currency),
        "refunded": money(one["amount_refunded"], currency),
    }
