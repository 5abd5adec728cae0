"""`./billing dead-letters`: work that was given up and needs an operator."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from cli import output
from cli.client import NOTHING_DONE, REFUSED, Client, Failed, in_path
from cli.options import (
    AsJson,
    Error,
    Key,
    Limit,
    OfKind,
    Payment,
    Reason,
    Since,
    Type,
    Until,
    Url,
    Yes,
)
from shared.printable import printable

Json = dict[str, Any]
PATH = "/dead-letters/redrive"
# The state of an id that the service does not know.
UNKNOWN = "unknown"
letters = typer.Typer(
    help="List, inspect and redrive work that was given up.", no_args_is_help=True
)


@letters.command("list")
def list_letters(
    kind: OfKind = None,
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
    """List dead letters, newest first; times are when the work was given up."""
    page = Client(url, key).get(
        "/dead-letters",
        kind=kind,
        type=type_,
        error=error,
        payment_id=payment_id,
        since=since,
        until=until,
        limit=limit,
    )
    columns = ("dead_at", "id", "type", "payment_id", "attempts", "error")
    show_page(page, as_json, "dead letters", *columns)


@letters.command("show")
def show_letter(
    item_id: Annotated[str, typer.Argument(help="Id of the item: evt_…, rr_… or ntf_….")],
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show one item with its payload and every attempt."""
    show_item(item_id, as_json, Client(url, key))


@letters.command("redrive")
def redrive(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of dead letters: evt_…, rr_… or ntf_….")
    ] = None,
    kind: OfKind = None,
    type_: Type = None,
    error: Error = None,
    payment_id: Payment = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the items to redrive and change nothing.")
    ] = False,
    reason: Reason = "",
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Process dead letters again: those with the given ids, or all of a --kind that match.

    The command redrives exactly the items that it shows before the confirmation.
    """
    if bool(ids) == (kind is not None):
        raise typer.BadParameter("give either ids or --kind")
    client = Client(url, key)
    search: Json = {
        "ids": ids or None,
        "kind": kind,
        "type": type_,
        "error": error,
        "payment_id": payment_id,
        "since": since,
        "until": until,
        "limit": limit,
    }
    if dry_run or not yes:
        preview = client.post(PATH, reason, dry_run=True, **search)
        if dry_run:
            _report(preview, as_json)
            return
        search = {"ids": _confirm(preview, as_json)}
    _report(client.post(PATH, reason, **search), as_json)


def _confirm(preview: Json, as_json: bool) -> list[str]:
    """Show the items to redrive and ask for confirmation; give their ids. Raises `Failed`."""
    if as_json or not sys.stdin.isatty():
        raise Failed(
            "Nothing was redriven: confirm with --yes, or look first with --dry-run.", NOTHING_DONE
        )
    _report(preview, as_json)
    ids: list[str] = preview["redriven"]
    if not typer.confirm(f"Redrive these {len(ids)} of {preview['matched']}?"):
        raise Failed("Nothing was redriven.", NOTHING_DONE)
    return ids


def _report(result: Json, as_json: bool) -> None:
    """Print the result of a redrive. Raises `Failed` when it did nothing or an id is unknown."""
    unknown = [item for item, state in result["skipped"].items() if state == UNKNOWN]
    if as_json:
        output.as_json(result)
    else:
        _tell(result)
    if unknown:
        names = ", ".join(printable(item) for item in unknown)
        raise Failed(f"No item has this id: {names} (item_not_found)", REFUSED)
    if not result["redriven"]:
        raise Failed("Nothing was redriven: no dead letter matches.", NOTHING_DONE)


def _tell(result: Json) -> None:
    verb = "would redrive" if result["dry_run"] else "redriven"
    for item_id in result["redriven"]:
        output.print_line(f"{verb}  {printable(item_id)}")
    for item_id, state in result["skipped"].items():
        if state != UNKNOWN:
            output.print_line(f"skipped   {printable(item_id)}: it is {printable(state)}")
    left = result["matched"] - len(result["redriven"]) - len(result["skipped"])
    if left > 0:
        output.print_line(f"{left} more match; raise --limit or run the command again.")


def show_page(page: Json, as_json: bool, nouns: str, *columns: str) -> None:
    """Print a page of a list as a table, and whether there are more rows."""
    if as_json:
        output.as_json(page)
        return
    rows = page["data"]
    if not rows:
        output.print_line(f"No {nouns} found.")
        return
    output.table(rows, *columns)
    if page["matched"] > len(rows):
        more = f"{len(rows)} of {page['matched']} {nouns} shown"
        output.print_line(f"{more}; raise --limit or narrow the search.")
    elif not page["complete"]:
        output.print_line(f"There may be more {nouns}; raise --limit or narrow the search.")


def show_item(item_id: str, as_json: bool, client: Client) -> None:
    """Print one item with all its fields."""
    item = client.get(f"/items/{in_path(item_id)}")
    output.as_json(item) if as_json else output.fields(item)
