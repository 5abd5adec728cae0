"""Show a person what the event receiver got."""

from datetime import UTC, datetime
from html import escape

from sandbox.world.objects import Json

HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Event receiver</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem .3rem 0;
border-bottom:1px solid #ddd;vertical-align:top}.invalid,.missing{color:#b00}</style></head><body>
<h1>Event receiver</h1><p>Simulated. Notifications of the billing service, newest first;
<a href="/notifications">as JSON</a>.</p>"""
COLUMNS = ("received", "type", "payment intent", "id", "signature", "answered", "")


def page(came: list[Json]) -> str:
    """Return the page listing what came."""
    head = "".join(f"<th>{column}</th>" for column in COLUMNS)
    rows = "".join(_row(entry) for entry in reversed(came))
    return f"{HEAD}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></body></html>"


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
    shown = "".join(f"<td>{escape(str(cell or ''))}</td>" for cell in cells)
    return f'<tr class="{escape(entry["signature"])}">{shown}</tr>'
