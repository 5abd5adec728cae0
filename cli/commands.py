"""The commands: what an operator can ask and do."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from cli import output
from cli.client import REFUSED, Client, Failed
from cli.doctor import STATUS, examine

Json = dict[str, Any]
# Between two looks at a comparison that is waited for.
LOOK_SECONDS = 0.5
app = typer.Typer(
    help="Look at the billing service's work and give it another life.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
letters = typer.Typer(help="Work that was given up and waits for a person.", no_args_is_help=True)
events = typer.Typer(help="Events received from Stripe.", no_args_is_help=True)
refunds = typer.Typer(help="Refund jobs that need a decision.", no_args_is_help=True)
payment = typer.Typer(help="What is known of a payment.", no_args_is_help=True)
for name, group in (
    ("dead-letters", letters),
    ("events", events),
    ("refunds", refunds),
    ("payment", payment),
):
    app.add_typer(group, name=name)

AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]
Url = Annotated[
    str | None, typer.Option("--url", envvar="BILLING_URL", help="Of the service's API.")
]
Key = Annotated[
    str | None,
    typer.Option("--key", envvar="BILLING_OPERATOR_KEY", help="Default: OPERATOR_KEYS of .env."),
]
Type = Annotated[str | None, typer.Option("--type", help="A pattern: 'payment_intent.*'.")]
Error = Annotated[str | None, typer.Option("--error", help="A part of the last error.")]
Since = Annotated[str | None, typer.Option("--since", help="RFC 3339: 2026-11-23T00:00:00Z.")]
Until = Annotated[str | None, typer.Option("--until", help="RFC 3339.")]
Payment = Annotated[str | None, typer.Option("--payment", help="Of this payment.")]
Kind = Annotated[str | None, typer.Option("--kind", help="events, refunds or notifications.")]
Limit = Annotated[int, typer.Option("--limit", help="At most so many.")]
Reason = Annotated[str, typer.Option("--reason", help="Why: kept in the audit.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask back.")]


@letters.command("list")
def list_letters(
    kind: Kind = None,
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
    """List dead letters, the newest first."""
    found = Client(url, key).get(
        "/dead-letters",
        kind=kind,
        type=type_,
        error=error,
        payment_id=payment_id,
        since=since,
        until=until,
        limit=limit,
    )
    _listed(found, as_json, "dead_at", "id", "type", "payment_id", "attempts", "error")


@letters.command("show")
def show_letter(item_id: str, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Show an item whole: its payload, and every attempt with its error."""
    _show(f"/items/{item_id}", as_json, Client(url, key))


@letters.command("redrive")
def redrive(
    ids: Annotated[list[str] | None, typer.Argument(help="evt_…, rr_… or ntf_…")] = None,
    kind: Kind = None,
    type_: Type = None,
    error: Error = None,
    payment_id: Payment = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which.")] = False,
    reason: Reason = "",
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Give dead letters another life: by id, or of a kind by what they have in common."""
    client = Client(url, key)
    sought: Json = {
        "ids": ids or None,
        "kind": kind,
        "type": type_,
        "error": error,
        "payment_id": payment_id,
        "since": since,
        "until": until,
        "limit": limit,
    }
    path = "/dead-letters/redrive"
    if dry_run or not yes:
        would = client.post(path, reason, dry_run=True, **sought)
        if dry_run:
            _redriven(would, as_json)
            return
        _ask(f"Redrive {len(would['redriven'])} of {would['matched']}?", as_json)
    _redriven(client.post(path, reason, **sought), as_json)


@events.command("list")
def list_events(
    state: Annotated[str | None, typer.Option("--state", help="processed, dead, …")] = None,
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
    """List events of any state, the newest first."""
    found = Client(url, key).get(
        "/events",
        state=state,
        type=type_,
        error=error,
        payment_id=payment_id,
        since=since,
        until=until,
        limit=limit,
    )
    _listed(found, as_json, "recorded_at", "id", "type", "state", "payment_id", "attempts")


@events.command("show")
def show_event(event_id: str, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Show an event whole."""
    _show(f"/items/{event_id}", as_json, Client(url, key))


@events.command("redrive")
def redrive_event(
    event_id: str,
    account: Annotated[str | None, typer.Option("--account", help="Of a Connect event.")] = None,
    reason: Reason = "",
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Process an event once more, dead or done; one unknown here is fetched from Stripe."""
    done = Client(url, key).post(f"/items/{event_id}/redrive", reason, account=account)
    output.as_json(done) if as_json else typer.echo(f"{event_id}: {done['outcome']}")


@refunds.command("resolve")
def resolve(
    job: Annotated[str, typer.Argument(help="rr_…")],
    refund: Annotated[
        str | None, typer.Option("--refund", help="It made this refund (re_…).")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="It made none.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """End a dead refund job as you found it at Stripe."""
    finding: Json = {"refund_id": refund, "failed": failed}
    done = Client(url, key).post(f"/refunds/{job}/resolve", reason, **finding)
    output.as_json(done) if as_json else typer.echo(f"{job}: {done['outcome']}")


@payment.command("show")
def show_payment(
    payment_id: str, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """Show what is known of a payment, and all that happened to it."""
    found = Client(url, key).get(f"/payments/{payment_id}")
    if as_json:
        output.as_json(found)
        return
    for subject, state in found["known"].get("subjects", {}).items():
        typer.echo(f"{subject}: {state['family']} {state['status']}")
    for entry in found["timeline"]:
        rest = {name: value for name, value in entry.items() if name not in ("at", "kind")}
        told = " ".join(f"{name}={value}" for name, value in rest.items())
        typer.echo(f"{entry['at']}  {entry['kind']}  {told}")


@app.command()
def reconcile(
    wait: Annotated[bool, typer.Option("--wait", help="Until the comparison is done.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Compare with Stripe's archive now and record what is missing."""
    client = Client(url, key)
    before = client.get("/reconcile")["completed_at_ms"] if wait else None
    done = client.post("/reconcile", reason)
    while wait:
        done = client.get("/reconcile")
        if done["completed_at_ms"] != before:
            break
        time.sleep(LOOK_SECONDS)
    output.as_json(done) if as_json else output.fields(done)


@app.command()
def queues(as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Tell how much waits in each queue and whether anyone consumes it."""
    found = Client(url, key).get("/queues")
    if as_json:
        output.as_json(found)
        return
    columns = ("depth", "open", "due", "overdue_seconds", "dead", "consumed_seconds_ago")
    output.table(found["data"], "name", *columns)
    typer.echo(f"breaker: {'open' if found['breaker_open'] else 'closed'}")


@app.command()
def audit(limit: Limit = 50, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List what people decided, the newest first."""
    found = Client(url, key).get("/audit", limit=limit)
    if as_json:
        output.as_json(found)
        return
    output.table(found["data"], "at", "kind", "id", "by", "key", "reason")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Examine everything this installation depends on: 0 all is well, 1 warnings, 2 errors."""
    findings = examine()
    if as_json:
        output.as_json([vars(finding) for finding in findings])
    for finding in [] if as_json else findings:
        typer.echo(f"{finding.level:8} {finding.area:14} {finding.what}")
        if finding.fix:
            typer.echo(f"{'':23} -> {finding.fix}")
    raise typer.Exit(max((STATUS[finding.level] for finding in findings), default=0))


def _show(path: str, as_json: bool, client: Client) -> None:
    found = client.get(path)
    output.as_json(found) if as_json else output.fields(found)


def _redriven(done: Json, as_json: bool) -> None:
    if as_json:
        output.as_json(done)
        return
    verb = "would redrive" if done["dry_run"] else "redriven"
    for item_id in done["redriven"]:
        typer.echo(f"{verb}  {item_id}")
    for item_id, state in done["skipped"].items():
        typer.echo(f"skipped   {item_id}: it is {state}")
    left = done["matched"] - len(done["redriven"]) - len(done["skipped"])
    if left > 0:
        typer.echo(f"{left} more match; raise --limit or run it again")


def _listed(found: Json, as_json: bool, *columns: str) -> None:
    """Show what a search found, and whether there is more."""
    if as_json:
        output.as_json(found)
        return
    output.table(found["data"], *columns)
    shown = len(found["data"])
    if found["matched"] > shown:
        typer.echo(f"{shown} of {found['matched']}; raise --limit or narrow the search")
    elif not found["complete"]:
        typer.echo("There may be more; raise --limit or narrow the search")


def _ask(question: str, as_json: bool) -> None:
    if as_json or not sys.stdin.isatty():
        raise Failed("Nobody is there to ask: give --yes, or --dry-run to look first.", REFUSED)
    typer.confirm(question, abort=True)


def main() -> None:
    """Run a command; say what was refused, or who did not answer, on standard error."""
    try:
        app(prog_name="billing")
    except Failed as failure:
        typer.echo(str(failure), err=True)
        raise SystemExit(failure.status) from failure
