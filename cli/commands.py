"""The commands of `./billing` and its groups."""

from __future__ import annotations

import time
from inspect import getdoc
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import output
from cli.client import Client, Failed
from cli.completion import complete_what_was_typed
from cli.dead_letters import letters
from cli.events import events
from cli.notifications import notifications
from cli.options import AsJson, Key, Limit, Reason, Url
from cli.payment_lists import payments
from cli.payments import payment, refunds
from cli.refund_batches import batches
from cli.stripe import stripe
from cli.whole_output import whole_output
from shared.printable import printable
from shared.version import VERSION

if TYPE_CHECKING:
    from doctor.examination import Finding

Json = dict[str, Any]
# Pause between two requests while the command waits for a comparison.
LOOK_SECONDS = 0.5
# Requests in a row that must find no comparison under way: the next one begins within the second.
QUIET_LOOKS = 3
EPILOG = (
    "Exit status: 0 done; 1 the service refused, or an id is unknown; 2 the command line is wrong; "
    "3 the service does not answer; 4 nothing was done; 5 the output could not be written. "
    "(doctor: 0 all is well, 1 warnings, 2 errors.) See docs/command-line.md."
)
app = typer.Typer(
    help="Show the work of the billing service, and redrive dead letters.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for name, group in (
    ("dead-letters", letters),
    ("events", events),
    ("refunds", refunds),
    ("payment", payment),
    ("payments", payments),
    ("notifications", notifications),
    ("stripe", stripe),
    ("refund-batch", batches),
):
    app.add_typer(group, name=name)


def _version(is_set: bool) -> None:
    if is_set:
        output.print_line(f"billing {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Show the work of the billing service, and redrive dead letters."""
    del version  # its callback has done everything


@app.command()
def reconcile(
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the comparison has ended.")
    ] = False,
    reason: Reason = "",
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Compare with Stripe's list of events now, and record the events that are missing here."""
    client = Client(url, key)
    before = client.get("/reconcile")["completed_at_ms"] if wait else None
    report = client.post("/reconcile", reason)
    if wait:
        report = _wait_for_end(client, before, report["outcome"])
    output.as_json(report) if as_json else output.fields(report)


def _wait_for_end(client: Client, before: int | None, outcome: str) -> Json:
    """Wait until the comparison that was asked for has ended, and return the report.

    When one was running, its end is not enough: another follows it, after a moment between the two.
    """
    needed, quiet = (QUIET_LOOKS if outcome == "running" else 1), 0
    while True:
        report = client.get("/reconcile")
        ended = report["completed_at_ms"] != before and not report["running"]
        quiet = quiet + 1 if ended else 0
        if quiet == needed:
            return report
        time.sleep(LOOK_SECONDS)


@app.command()
def queues(as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Show how much work waits in each queue, and how many workers serve it.

    Of a payment's notifications only the first counts as open; the others wait for it.
    """
    answer = Client(url, key).get("/queues")
    if as_json:
        output.as_json(answer)
        return
    counts = ("depth", "open", "due", "overdue_seconds", "dead", "consumers")
    output.table(answer["data"], "name", *counts, "consumed_seconds_ago")
    output.print_line("breaker:", "open" if answer["breaker_open"] else "closed")
    output.print_line("upkeep:", "silent" if answer["upkeep_silent"] else "ok")
    for name in (row["name"] for row in answer["data"] if row["silent"]):
        output.print_line("no worker serves:", name)
    for process in answer["stuck"]:
        output.print_line("stuck worker:", process)


@app.command()
def audit(limit: Limit = 50, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List what operators did, newest first."""
    answer = Client(url, key).get("/audit", limit=limit)
    if as_json:
        output.as_json(answer)
    elif not answer["data"]:
        output.print_line("No operator has done anything yet.")
    else:
        output.table(answer["data"], "at", "kind", "id", "operator", "by", "key", "reason")


@app.command()
def doctor(
    look_only: Annotated[
        bool,
        typer.Option(
            "--look-only", help="Send no test event and no test notification through the service."
        ),
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Examine everything this installation depends on, and name a fix for each problem.

    The doctor connects to Redis, Stripe and the event service: run it where the service runs. It
    sends a signed test event and a signed test notification through the running service; both are
    marked as tests and have no effect. Exit status: 0 all is well, 1 warnings, 2 errors.
    """
    # Imported here, because it imports all that it examines and would slow every other command.
    from doctor.examination import STATUS, Service, examine

    client = Client(url, key)
    findings = examine(service=None if look_only else Service(client.url, client.secret))
    if as_json:
        output.as_json([vars(finding) for finding in findings])
    else:
        for finding in findings:
            _show_finding(finding)
    raise typer.Exit(max((STATUS[finding.level] for finding in findings), default=0))


def _show_finding(finding: Finding) -> None:
    output.print_line(f"{finding.level:8}", f"{finding.area:14}", printable(finding.what))
    if finding.fix:
        output.print_line(f"{'':23} -> {printable(finding.fix)}")


def _join_lines_of_help() -> None:
    """Make one line of each paragraph of the help; Typer keeps the breaks of the source."""
    groups = [group.typer_instance for group in app.registered_groups]
    for part in (app, *filter(None, groups)):
        for command in part.registered_commands:
            paragraphs = (command.help or getdoc(command.callback) or "").split("\n\n")
            command.help = "\n\n".join(" ".join(text.split()) for text in paragraphs)


def main() -> None:
    """Run a command; when it fails, print why on standard error and end with its exit status."""
    complete_what_was_typed()
    _join_lines_of_help()
    try:
        with whole_output():
            app(prog_name="billing")
    except Failed as failure:
        typer.echo(str(failure), err=True)
        raise SystemExit(failure.status) from failure
