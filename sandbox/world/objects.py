"""Work on Stripe objects as plain JSON: copy, write and compare them, merge metadata into them."""

from typing import Any, TypeVar, cast

import orjson

Json = dict[str, Any]
T = TypeVar("T")


def copy_of(value: T) -> T:
    """Return a copy that later changes of the original do not affect."""
    copied: Any = value
    if isinstance(value, dict):
        copied = {key: copy_of(item) for key, item in value.items()}
    elif isinstance(value, list):
        copied = [copy_of(item) for item in value]
    return cast(T, copied)


def indented(value: Json) -> str:
    """Write an object as Stripe does in its answers and events."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def previous_attributes(before: Json, after: Json) -> Json:
    """Return the former values of the changed keys; of nested maps only the changed leaves.

    A key that did not exist before counts as null, as in Stripe's events.
    """
    changed: Json = {}
    for key in after.keys() | before.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            changed[key] = previous_attributes(old, new)
        else:
            changed[key] = copy_of(old)
    return changed


def merge_metadata(target: Json, inputs: Json | None) -> None:
    """Apply Stripe's rule for metadata: keys are merged, "" removes one, null removes all."""
    if inputs is None:
        target["metadata"] = {}
        return
    merged = dict(target.get("metadata") or {})
    for key, value in inputs.items():
        if value == "":
            merged.pop(key, None)
        else:
            merged[key] = value
    target["metadata"] = merged


def address(inputs: Json | None) -> Json:
    """Return an address with every key Stripe shows."""
    keys = ("city", "country", "line1", "line2", "postal_code", "state")
    return {key: (inputs or {}).get(key) for key in keys}


def billing_details(inputs: Json | None) -> Json:
    """Return billing details with every key Stripe shows."""
    details: Json = {key: (inputs or {}).get(key) for key in ("email", "name", "phone", "tax_id")}
    details["address"] = address((inputs or {}).get("address"))
    return details


def shipping(inputs: Json | None) -> Json | None:
    """Return shipping details with every key Stripe shows, or null."""
    if not inputs:
        return None
    keys = ("carrier", "name", "phone", "tracking_number")
    return {"address": address(inputs.get("address")), **{key: inputs.get(key) for key in keys}}
