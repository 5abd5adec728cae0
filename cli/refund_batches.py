"""`./billing refund-batch`: start, watch, stop and report batches of refunds."""

from __future__ import annotations

import csv
import re
import secrets
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli import output
from cli.client import NOTHING_DONE, UNREACHABLE, Client, Failed, in_path
from cli.csv_cells import csv_cell
from cli.money import money
from cli.options import AsJson, Key, Url, Yes, metadata_pairs
from shared.printable import printable

Json = dict[str, Any]
ROUTE = "/api/refund/batches"
KEY_HEADER = "Idempotency-Key"
# Pause between two requests while a batch is watched.
LOOK_SECONDS = 1.0
PAGE = 1_000
COLUMNS = (
    "payment_id",
    "status",
    "amount",
    "currency",
    "reason",
    "refund_request_id",
    "refund_id",
    "failure_code",
    "failure_message",
)
# An amount; the service refuses what is larger than Stripe's amounts.
FIGURES = re.compile(r"[0-9]{1,30}")
batches = typer.Typer(
    help="Refund all payments of an event, or a list of payments, in one batch.",
    no_args_is_help=True,
)
BatchId = Annotated[str, typer.Argument(help="Id of the batch: rb_….")]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        help="A command repeated under its key has its effect once. Default: a new key.",
    ),
]


@batches.command("start")
def start(
    event: Annotated[
        str | None, typer.Option("--event", help="Refund all payments of this event.")
    ] = None,
    payment: Annotated[
        list[str] | None,
        typer.Option("--payment", help="Refund this payment (pi_…); may be repeated."),
    ] = None,
    percent: Annotated[
        str | None,
        typer.Option(
            "--percent",
            help="Refund this percentage of the amount received. Default: all that is left.",
        ),
    ] = None,
    amount: Annotated[
        int | None,
        typer.Option("--amount", help="Refund this amount of each payment, in the smallest unit."),
    ] = None,
    keep_fee: Annotated[
        str | None,
        typer.Option("--keep-fee", help="Keep this of each refund: an amount, or stripe_fee."),
    ] = None,
    currency: Annotated[
        str | None, typer.Option("--currency", help="Only payments in this currency.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="The connected account (acct_…), if any.")
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason", help="Stripe's reason: duplicate, fraudulent or requested_by_customer."
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata", help="Give each refund this metadata: seat=12; may be repeated."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the refunds and make none.")
    ] = False,
    idempotency_key: IdempotencyKey = None,
    watch: Annotated[
        bool,
        typer.Option("--watch/--no-watch", help="On a terminal, show progress while it runs."),
    ] = True,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show the refunds of a batch, ask for confirmation, start it and show its progress."""
    if bool(event) == bool(payment):
        raise typer.BadParameter("give either --event or --payment")
    request = {
        "event_id": event,
        "payments": payment or None,
        "percent": percent,
        "amount": amount,
        "keep_fee": int(keep_fee) if keep_fee and FIGURES.fullmatch(keep_fee) else keep_fee,
        "expected_currency": currency,
        "reason": reason,
        "metadata": metadata_pairs(metadata),
    }
    client = Client(url, key)
    connected = {"Stripe-Account": account} if account else {}
    if dry_run or not yes:
        preview = client.call("POST", ROUTE, connected, **request, dry_run=True)
        if dry_run:
            output.as_json(preview) if as_json else _show_preview(preview)
            return
        _confirm(preview, as_json=as_json)
    batch = _act(client, ROUTE, idempotency_key, connected, **request)
    if watch and not as_json:
        batch = _watch(client, batch)
    _show(batch, as_json=as_json)


def _act(
    client: Client,
    route: str,
    key: str | None,
    headers: Mapping[str, str] | None = None,
    **body: Any,
) -> Json:
    """Post under an idempotency key, a new one by default, and return the batch.

    Raises `Failed`; when there was no answer, it says how to repeat the command.
    """
    key = key or f"cli-{secrets.token_hex(16)}"
    hint = (
        "It may have been done: repeat the command with "
        f"--idempotency-key {shlex.quote(printable(key))}, and it is done once."
    )
    try:
        return client.call("POST", route, {KEY_HEADER: key, **(headers or {})}, **body)
    except Failed as failure:
        if not failure.is_uncertain:
            raise
        raise Failed(f"{failure}\n{hint}", failure.status) from failure
    except KeyboardInterrupt:
        raise Failed(hint, UNREACHABLE) from None


def _route(batch_id: str, *more: str) -> str:
    return "/".join((ROUTE, in_path(batch_id), *more))


def _confirm(preview: Json, *, as_json: bool) -> None:
    """Show the refunds and ask for confirmation. Raises `Failed`."""
    if as_json or not sys.stdin.isatty():
        raise Failed(
            "Nothing was refunded: confirm with --yes, or look first with --dry-run.", NOTHING_DONE
        )
    _show_preview(preview)
    if preview["refusal"] or not typer.confirm(f"Refund these {preview['payments']} payments?"):
        raise Failed("Nothing was refunded.", NOTHING_DONE)


def _show_preview(preview: Json) -> None:
    output.print_line(f"payments to refund: {preview['payments']}")
    for currency, amount in preview["amounts"].items():
        output.print_line(f"  {money(amount, currency)}")
    for reason, count in preview["left_out"].items():
        output.print_line(f"left out: {count} {printable(reason)}")
    for part in preview["funds"]:
        available = money(part["available"], part["currency"])
        needed = money(part["needed"], part["currency"])
        missing = money(part["missing"], part["currency"])
        lacking = f", missing: {missing}" if part["missing"] else ""
        output.print_line(f"balance needed: {needed}, available: {available}{lacking}")
    if preview["refusal"]:
        detail = printable(preview["refusal"]["detail"])
        output.print_line(f"With this key the batch would not start: {detail}")


@batches.command("show")
def show(
    batch_id: BatchId,
    watch: Annotated[
        bool, typer.Option("--watch", help="On a terminal, show progress while it runs.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show the progress of a batch: counts, amounts, rate and estimated end."""
    client = Client(url, key)
    batch = client.call("GET", _route(batch_id))
    if watch and not as_json:
        batch = _watch(client, batch)
    _show(batch, as_json=as_json)


@batches.command("list")
def list_batches(
    event: Annotated[
        str | None, typer.Option("--event", help="Only batches of this event.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List batches, newest first."""
    page = Client(url, key).call("GET", ROUTE, event_id=event)
    if as_json:
        output.as_json(page)
    elif not page["data"]:
        output.print_line("No batches found.")
    else:
        output.table(page["data"], "created", "batch_id", "state", "done", "total", "event_id")


def _turn(verb: str, says: str) -> None:
    """Add the command that posts a verb to a batch."""

    @batches.command(verb, help=says)
    def command(
        batch_id: BatchId,
        idempotency_key: IdempotencyKey = None,
        as_json: AsJson = False,
        url: Url = None,
        key: Key = None,
    ) -> None:
        route = _route(batch_id, verb)
        _show(_act(Client(url, key), route, idempotency_key), as_json=as_json)


_turn("pause", "Begin no more refunds until the batch is resumed.")
_turn("resume", "Continue a paused batch.")
_turn("cancel", "Begin no more refunds, for good; refunds that have begun are completed.")


@batches.command("retry")
def retry(
    batch_id: BatchId,
    late: Annotated[
        bool,
        typer.Option(
            "--late", help="Refund the payments that were made while the batch ran instead."
        ),
    ] = False,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Refund the failed payments once more."""
    route, include = _route(batch_id, "retry"), ["late" if late else "failed"]
    _show(_act(Client(url, key), route, idempotency_key, include=include), as_json=as_json)


@batches.command("report")
def report(
    batch_id: BatchId,
    status: Annotated[
        str | None, typer.Option("--status", help="Only payments in this status.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print every payment of a batch as CSV, or with --json a JSON object in each line."""
    pages = _pages(Client(url, key), batch_id, status)
    first = next(pages)  # an unknown batch is refused before anything is printed
    members = chain.from_iterable(chain([first], pages))
    if as_json:
        for member in members:
            output.json_line(member)
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([csv_cell(member[name]) for name in COLUMNS] for member in members)


def _pages(client: Client, batch_id: str, status: str | None) -> Iterator[list[Json]]:
    """Read all members of a batch, a page at a time."""
    query: Json = {"limit": PAGE} | ({"status": status} if status else {})
    while True:
        page = client.call("GET", _route(batch_id, "refunds"), **query)
        yield page["data"]
        if not page["has_more"]:
            return
        query["starting_after"] = page["data"][-1]["payment_id"]


def _watch(client: Client, batch: Json) -> Json:
    """Show a progress bar until the batch no longer runs; Ctrl-C ends the bar, not the batch."""
    console = Console()
    if not console.is_terminal:
        return batch
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[more]}"),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("refunding", total=batch["total"], more="")
        try:
            for batch in _looks(client, batch):  # noqa: B020, PLR1704  # the latest is shown
                progress.update(bar, completed=batch["done"], more=_more(batch))
        except KeyboardInterrupt:
            progress.update(bar, description="no longer watched; the batch continues:")
    return batch


def _looks(client: Client, batch: Json) -> Iterator[Json]:
    """Read a batch until it no longer runs; when the service or Redis does not answer, again."""
    yield batch
    while batch["state"] == "running":
        time.sleep(LOOK_SECONDS)
        try:
            batch = client.call("GET", _route(batch["batch_id"]))
        except Failed as failure:
            if not failure.is_uncertain:
                raise
        yield batch


def _more(batch: Json) -> str:
    """Describe the rate of a batch and how many refunds failed."""
    failed = batch["counts"]["failed"] + batch["counts"]["dead"]
    rate = f"{batch['per_second'] or 0:.1f}/s"
    return f"{rate}, {failed} failed" if failed else rate


def _show(batch: Json, *, as_json: bool) -> None:
    if as_json:
        output.as_json(batch)
        return
    names = ("batch_id", "state", "paused_reason", "event_id", "done", "total", "estimated_end")
    output.fields({name: batch[name] for name in names})
    for status, count in batch["counts"].items():
        if count:
            output.print_line(f"  {status}: {count}{_amounts_of(batch, status)}")
    for currency, amount in (batch["missing"] or {}).items():
        output.print_line(f"missing: {money(amount, currency)}")


def _amounts_of(batch: Json, status: str) -> str:
    """Return the amounts of the payments of a status in brackets, or nothing."""
    sums = [
        money(by_status[status], currency)
        for currency, by_status in sorted(batch["amounts"].items())
        if by_status.get(status)
    ]
    return f" ({', '.join(sums)})" if sums else ""
