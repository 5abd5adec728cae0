"""The receiver's page, which lists the notifications received."""

from datetime import UTC, datetime
from html import escape
from typing import Final

from sandbox.world.objects import Json

NEWEST: Final = 200
"""Most rows on the page; `/notifications` has all notifications."""
HEAD: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Event receiver</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:70rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem .3rem 0;
border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}
.invalid,.missing{color:#b00}
@media (max-width:50rem){thead{position:absolute;clip-path:inset(50%)}tr,td{display:block}
tr{padding:.6rem 0;border-bottom:1px solid #ddd}td{border:0;padding:0}td:empty{display:none}
td::before{content:attr(data-label) ": ";color:#555}}</style></head><body><main>
<h1>Event receiver</h1><p>Simulated. Notifications of the billing service, newest first;
<a href="/notifications">as JSON</a>.</p>"""
COLUMNS: Final = ("received", "type", "payment intent", "id", "signature", "answered", "note")


def page(newest: list[Json]) -> str:
    """Return the page that lists notifications; on a narrow screen as blocks, not as a table."""
    head = "".join(f'<th scope="col">{column}</th>' for column in COLUMNS)
    rows = "".join(_row(entry) for entry in newest)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"{HEAD}{table}</main></body></html>"


def _row(entry: Json) -> str:
    received = datetime.fromtimestamp(entry["received_at"], UTC).strftime("%Y-%m-%d %H:%M:%S")
    data = entry["body"].get("data") or {}
    cells = (
        received,
        entry["type"],
        data.get("payment_intent_id"),
        entry["id"],
        entry["signature"],
        entry["answered"],
        "duplicate" if entry["duplicate"] else "",
    )
    row_cells = "".join(
        f'<td data-label="{column}">{escape(str(cell or ""))}</td>'
        for column, cell in zip(COLUMNS, cells, strict=True)
    )
    return f'<tr class="{escape(entry["signature"])}">{row_cells}</tr>'
