"""`./billing events`: the events that Stripe sent."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import output
from cli.client import Client, in_path
from cli.dead_letters import show_item, show_page
from cli.options import (
    AsJson,
    Error,
    EventState,
    Key,
    Limit,
    Payment,
    Reason,
    Since,
    StripeEventId,
    Type,
    Until,
    Url,
)
from shared.printable import printable

events = typer.Typer(help="List, inspect and redrive Stripe events.", no_args_is_help=True)


@events.command("list")
def list_events(
    state: Annotated[
        EventState | None, typer.Option("--state", help="Only events in this state.")
    ] = None,
    type_: Type = None,
    error: Error = None,
    payment_id: Payment = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List Stripe events of any state, newest first; times are when they were recorded."""
    page = Client(url, key).get(
        "/events",
        state=state,
        type=type_,
        error=error,
        payment_id=payment_id,
        since=since,
        until=until,
        limit=limit,
    )
    columns = ("recorded_at", "id", "type", "state", "payment_id", "attempts")
    show_page(page, as_json, "events", *columns)


@events.command("show")
def show_event(
    stripe_event_id: StripeEventId, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """Show one Stripe event with its payload and every attempt."""
    show_item(stripe_event_id, as_json, Client(url, key))


@events.command("redrive")
def redrive_event(
    stripe_event_id: StripeEventId,
    account: Annotated[
        str | None,
        typer.Option("--account", help="Connected account (acct_…) that the event belongs to."),
    ] = None,
    reason: Reason = "",
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Process a dead or finished Stripe event again.

    An event that is unknown here is fetched from Stripe.
    """
    path = f"/items/{in_path(stripe_event_id)}/redrive"
    result = Client(url, key).post(path, reason, account=account)
    if as_json:
        output.as_json(result)
    else:
        output.print_line(f"{printable(stripe_event_id)}: {result['outcome']}")
