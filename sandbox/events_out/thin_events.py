"""Serve thin events: the thin forms of snapshot events, and events that exist only as thin ones."""

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from sandbox.events_out import event_forms, events
from sandbox.events_out.event_forms import THIN_KIND
from sandbox.wire import params
from sandbox.wire.call import Call, Route
from sandbox.world import errors
from sandbox.world.objects import Json

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
MAX_TYPES: Final = 20
PATH: Final = "/v2/core/events"


def _missing(thin_id: str) -> errors.StripeError:
    message = f"No such event: '{thin_id}'"
    return errors.StripeError(404, {"code": "not_found", "message": message})


def _retrieve(call: Call) -> Json:
    thin_id = call.ids[0]
    events.forget_old(call.scope)
    native = call.scope.find(THIN_KIND, thin_id)
    event = native or call.scope.find("event", event_forms.snapshot_id(thin_id))
    if event is None:
        raise _missing(thin_id)
    return event_forms.fetched(event)


def _list(call: Call) -> Json:
    """Return a page, newest first; it begins after the event that the page token names."""
    events.forget_old(call.scope)
    limit = min(max(call.params.get("limit", DEFAULT_LIMIT), 1), MAX_LIMIT)
    matches = (event for event in _behind(call) if _matches(call, event))
    page = list(islice(matches, limit + 1))
    data = [event_forms.fetched(event) for event in page[:limit]]
    following = _page_url(call, data[-1]["id"]) if len(page) > limit else None
    return {"data": data, "next_page_url": following, "previous_page_url": None}


def _behind(call: Call) -> Iterator[Json]:
    account = call.scope.account
    both = [*account.table("event").values(), *account.table(THIN_KIND).values()]
    newest_first = iter(sorted(both, key=lambda event: -account.order[event["id"]]))
    token = call.params.get("page")
    if token is None:
        return newest_first
    last = _event_of(token)
    for event in newest_first:
        if event_forms.thin(event)["id"] == last:
            return newest_first
    raise errors.invalid("Invalid page token.", "page")


def _page_url(call: Call, last_id: str) -> str:
    token = base64.urlsafe_b64encode(last_id.encode()).decode()
    query = [(f"types[{place}]", name) for place, name in enumerate(call.params.get("types", []))]
    query += [(name, call.params[name]) for name in ("object_id", "limit") if name in call.params]
    bounds = call.params.get("created", {})
    query += [(f"created[{name}]", moment.isoformat()) for name, moment in bounds.items()]
    return f"{PATH}?{urlencode([*query, ('page', token)])}"


def _event_of(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise errors.invalid("Invalid page token.", "page") from None


def _matches(call: Call, event: Json) -> bool:
    notice, inputs = event_forms.thin(event), call.params
    subject = notice.get("related_object", {}).get("id")
    if "types" in inputs and notice["type"] not in inputs["types"]:
        return False
    if "object_id" in inputs and subject != inputs["object_id"]:
        return False
    created = datetime.fromisoformat(notice["created"])
    return all(COMPARE[name](created, moment) for name, moment in inputs.get("created", {}).items())


COMPARE: Final = {
    "gt": lambda created, moment: created > moment,
    "gte": lambda created, moment: created >= moment,
    "lt": lambda created, moment: created < moment,
    "lte": lambda created, moment: created <= moment,
}


def _moment(value: Any, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise errors.invalid(f"Invalid timestamp: {value}", name) from None
    if moment.tzinfo is None:
        raise errors.invalid(f"Invalid timestamp: {value} has no time zone.", name)
    return moment


def _types(value: Any, name: str) -> list[str]:
    types: list[str] = params.list_of(params.text())(value, name)
    if len(types) > MAX_TYPES:
        raise errors.invalid(f"You can give at most {MAX_TYPES} types.", name)
    return types


_LIST: Final[dict[str, params.Parser | params.Required]] = {
    "created": params.fields(dict.fromkeys(COMPARE, _moment)),
    "limit": params.integer(),
    "object_id": params.text(),
    "page": params.text(),
    "types": _types,
}
ROUTES: Final = (
    Route("GET", PATH, _list, _LIST),
    Route("GET", PATH + "/{id}", _retrieve),
)
