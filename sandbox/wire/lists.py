"""Answer list calls: newest first, by cursors, filtered, in Stripe's envelope."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from sandbox.wire import params as accept
from sandbox.wire.call import Call
from sandbox.world import errors
from sandbox.world.objects import Json

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100

_MOMENT: Final = accept.integer()
_LIST_PARAMS: Final[dict[str, accept.Parser | accept.Required]] = {
    "limit": accept.integer(),
    "starting_after": accept.text(),
    "ending_before": accept.text(),
    "created": accept.either(
        accept.fields(dict.fromkeys(("gt", "gte", "lt", "lte"), _MOMENT)), _MOMENT
    ),
}

REFERRED: Final = {"customer": 400, "charge": 404, "payment_intent": 404}
"""Filters that name an object, with the status if it does not exist."""

Test = Callable[[Json], bool]


def _any(_: Json) -> bool:
    return True


def params(**more: accept.Parser) -> dict[str, accept.Parser | accept.Required]:
    """Return the spec of a list call: the cursors, `created`, and its other filters."""
    return {**_LIST_PARAMS, **more}


def page(call: Call, kind: str, matches: Test = _any) -> Json:
    """Return one page of the account's objects of a kind."""
    return page_of(call, list(call.scope.account.table(kind).values()), matches)


def page_of(call: Call, records: list[Json], matches: Test = _any) -> Json:
    """Return one page of the given objects, which are in order of creation."""
    inputs = call.params
    if "starting_after" in inputs and "ending_before" in inputs:
        raise errors.invalid("You can only provide one of starting_after or ending_before.")
    limit = min(max(inputs.get("limit", DEFAULT_LIMIT), 1), MAX_LIMIT)
    fits = _created_test(inputs.get("created"))
    matching_records = (
        record for record in _walk(call, records) if fits(record) and matches(record)
    )
    page = list(islice(matching_records, limit + 1))
    data = page[:limit]
    if "ending_before" in inputs:
        data.reverse()
    return envelope(call.path, data, has_more=len(page) > limit)


def envelope(url: str, data: list[Json], *, has_more: bool = False) -> Json:
    """Return Stripe's list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def matching(call: Call, *names: str) -> Test:
    """Return a test for objects which have the given value in each of the named parameters.

    Raises Stripe's refusal for an object that does not exist.
    """
    for name in REFERRED.keys() & set(names) & call.params.keys():
        exists = call.params[name] in call.scope.account.order
        if not exists:
            raise errors.missing(name, call.params[name], name, REFERRED[name])
    pairs = [(name, call.params[name]) for name in names if name in call.params]
    return lambda record: all(record.get(name) == value for name, value in pairs)


def _walk(call: Call, records: list[Json]) -> Iterator[Json]:
    """Yield the objects after the cursor: newest first, or oldest first for `ending_before`."""
    order = call.scope.account.order
    if "ending_before" in call.params:
        bound = _place(call, "ending_before")
        return (record for record in records if order[record["id"]] > bound)
    if "starting_after" in call.params:
        bound = _place(call, "starting_after")
        return (record for record in reversed(records) if order[record["id"]] < bound)
    return reversed(records)


def _place(call: Call, name: str) -> int:
    cursor = call.params[name]
    place = call.scope.account.order.get(cursor)
    if place is None:
        raise errors.missing("object", cursor, name, status=400)
    return place


def _created_test(created: Any) -> Test:
    if created is None:
        return _any
    if isinstance(created, int):
        return lambda record: record["created"] == created
    bounds = {"gt": 0, "gte": 0, "lt": float("inf"), "lte": float("inf")} | created

    def test(record: Json) -> bool:
        moment = record["created"]
        after = moment >= bounds["gte"] and ("gt" not in created or moment > bounds["gt"])
        before = moment <= bounds["lte"] and ("lt" not in created or moment < bounds["lt"])
        return bool(after and before)

    return test
