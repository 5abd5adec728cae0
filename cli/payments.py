"""`./billing payment` and `./billing refunds`: one payment, and dead refund jobs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import output
from cli.client import Client, in_path
from cli.money import money
from cli.options import AsJson, Key, Reason, Url
from shared.printable import printable

Json = dict[str, Any]
payment = typer.Typer(help="Show a payment with its history.", no_args_is_help=True)
refunds = typer.Typer(help="Decide the outcome of dead refund jobs.", no_args_is_help=True)
# Fields of a payment that are about money, in the order in which they are printed.
MONEY = ("amount", "amount_received", "amount_capturable", "amount_total")


@payment.command("show")
def show_payment(
    payment_id: Annotated[
        str,
        typer.Argument(
            help="Stripe's id of the payment: pi_…. A payment without a payment intent has "
            "its ch_… or cs_… id."
        ),
    ],
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show a payment's amounts, metadata, refunds, disputes and timeline."""
    payment = Client(url, key).get(f"/payments/{in_path(payment_id)}")
    if as_json:
        output.as_json(payment)
        return
    subjects: dict[str, Json] = payment["known"].get("subjects", {})
    # The payment first, whatever its id; then what became of its money.
    for name, subject in sorted(subjects.items(), key=lambda one: one[1]["family"] != "payment"):
        output.print_line(
            f"{printable(name)}: {printable(subject['family'])} {printable(subject['status'])}"
        )
        _show_money(subject)
    _show_metadata(subjects)
    output.print_line("")
    for entry in payment["timeline"]:
        _show_entry(entry)


def _show_money(subject: Json) -> None:
    snapshot = subject.get("snapshot", {})
    currency = snapshot.get("currency")
    for name in MONEY:
        if snapshot.get(name) is not None:
            output.print_line(f"  {name}: {money(snapshot[name], currency)}")
    for name in ("fee", "net"):
        if snapshot.get(name) is not None:
            amount = money(snapshot[name], snapshot.get("settlement_currency"))
            output.print_line(f"  {name}: {amount}")
    for name in ("reason", "failure_code", "pending_reason"):
        if snapshot.get(name):
            output.print_line(f"  {name}: {printable(str(snapshot[name]))}")
    if snapshot.get("due_by"):
        output.print_line(f"  due_by: {output.second(snapshot['due_by'])}")


def _show_metadata(subjects: dict[str, Json]) -> None:
    """Print the payment's metadata once, though each object of the payment repeats it."""
    metadata: Json = {}
    for subject in subjects.values():
        metadata |= subject.get("snapshot", {}).get("metadata") or {}
    if metadata:
        output.print_line("metadata:")
    for name, value in metadata.items():
        output.print_line(f"  {printable(name)}: {printable(str(value))}")


def _show_entry(entry: Json) -> None:
    rest = {name: value for name, value in entry.items() if name not in ("at", "kind")}
    details = " ".join(f"{name}={printable(str(value))}" for name, value in rest.items())
    output.print_line(f"{entry['at']}  {printable(entry['kind'])}  {details}".rstrip())


@refunds.command("resolve")
def resolve(
    job: Annotated[str, typer.Argument(help="Id of the dead refund job: rr_….")],
    refund: Annotated[
        str | None,
        typer.Option("--refund", help="Stripe made this refund (re_…): end the job with it."),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Stripe made no refund: end the job as failed.")
    ] = False,
    reason: Reason = "",
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """End a dead refund job according to what Stripe's dashboard shows."""
    if failed == (refund is not None):
        raise typer.BadParameter("give either --refund or --failed")
    finding: Json = {"refund_id": refund, "failed": failed}
    result = Client(url, key).post(f"/refunds/{in_path(job)}/resolve", reason, **finding)
    if as_json:
        output.as_json(result)
    else:
        output.print_line(f"{printable(job)}: {result['outcome']}")
