"""`./billing stripe`: the set-up at Stripe."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli import output
from cli.client import NOTHING_DONE, REFUSED, UNREACHABLE, Failed
from cli.options import AsJson, Yes
from shared.errors import BillingError, Unavailable
from shared.printable import printable

if TYPE_CHECKING:
    from doctor.registration import Endpoint, Plan

stripe = typer.Typer(help="Set up what this service needs at Stripe.", no_args_is_help=True)


@stripe.callback()
def group() -> None:
    """Set up what this service needs at Stripe."""


@stripe.command()
def register(
    address: Annotated[
        str, typer.Argument(help="Public address of the API: https://billing.example.com.")
    ],
    thin: Annotated[
        bool, typer.Option("--thin", help="Register a destination of thin events (API v2).")
    ] = False,
    connect: Annotated[
        bool,
        typer.Option("--connect", help="Register for the events of connected accounts."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the changes and make none.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Create or repair the webhook endpoint at Stripe: address, types of events, API version.

    The command uses STRIPE_SECRET_KEY, whose permissions must include "Webhook Endpoints: write";
    with --thin, "Event Destinations: write". It shows the changes and asks before it makes them.
    Run again, it changes only what is wrong.
    """
    # Imported here, because it imports Stripe's SDK and would slow every other command.
    from doctor.registration import Endpoint, Registration, Target

    try:
        registration = Registration(Target(thin=thin, connect=connect))
        plan = registration.plan(address)
        if not as_json:
            _show_plan(plan)
        if dry_run or plan.action == "nothing":
            if as_json:
                _show_result(plan, Endpoint(plan.endpoint_id), as_json=True)
            return
        if not yes:
            _confirm(as_json)
        _show_result(plan, registration.carry_out(plan), as_json=as_json)
    except BillingError as error:
        status = UNREACHABLE if isinstance(error, Unavailable) else REFUSED
        raise Failed(printable(str(error)), status) from error


def _confirm(as_json: bool) -> None:
    """Ask for confirmation of the plan. Raises `Failed`."""
    if as_json or not sys.stdin.isatty():
        raise Failed("Nothing was done: confirm with --yes.", NOTHING_DONE)
    if not typer.confirm("Do this at Stripe?"):
        raise Failed("Nothing was done.", NOTHING_DONE)


def _show_plan(plan: Plan) -> None:
    about = f" {plan.endpoint_id}" if plan.endpoint_id else ""
    if plan.action == "nothing":
        output.print_line(f"Endpoint{about} needs no change: {printable(plan.url)}")
    else:
        output.print_line(f"To {plan.action} the endpoint{about}:")
    for step in plan.steps:
        output.print_line(f"  - {printable(step)}")
    for note in plan.notes:
        output.print_line(f"Note: {printable(note)}")


def _show_result(plan: Plan, registered: Endpoint, *, as_json: bool) -> None:
    if as_json:
        output.as_json(asdict(plan) | asdict(registered))
    elif registered.secret:
        output.print_line(f"Created {registered.endpoint_id}. Its signing secret, shown this once:")
        output.print_line(f"STRIPE_WEBHOOK_SECRET={registered.secret}")
        output.print_line(
            "Set it; if there are other endpoints, add it to their secrets, separated by a comma. "
            "Restart the API, then run ./billing doctor."
        )
    elif plan.action == "update" and registered.endpoint_id:
        output.print_line("Next: ./billing doctor, then ./billing reconcile.")
