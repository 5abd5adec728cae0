"""Replace ids by their objects where `expand[]` requests it."""

from collections.abc import Callable
from typing import Any, Final

from sandbox.wire import lists
from sandbox.world import errors
from sandbox.world.objects import Json
from sandbox.world.world import Scope

MAX_DEPTH: Final = 4
"""Levels that Stripe expands; list calls count the leading `data`, too."""

REFERENCES: Final[dict[str, dict[str, str]]] = {
    "payment_intent": {
        "latest_charge": "charge",
        "payment_method": "payment_method",
        "customer": "customer",
        "application": "",
        "on_behalf_of": "",
        "review": "review",
    },
    "charge": {
        "balance_transaction": "balance_transaction",
        "failure_balance_transaction": "balance_transaction",
        "payment_intent": "payment_intent",
        "customer": "customer",
        "application": "",
        "application_fee": "",
        "on_behalf_of": "",
        "review": "review",
        "source_transfer": "",
        "transfer": "",
    },
    "refund": {
        "balance_transaction": "balance_transaction",
        "failure_balance_transaction": "balance_transaction",
        "charge": "charge",
        "payment_intent": "payment_intent",
        "source_transfer_reversal": "",
        "transfer_reversal": "",
    },
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
    "balance_transaction": {"source": "*"},
    "payment_method": {"customer": "customer"},
    "checkout.session": {
        "payment_intent": "payment_intent",
        "customer": "customer",
        "invoice": "",
        "payment_link": "",
        "setup_intent": "",
        "subscription": "",
    },
    "price": {"product": "product"},
    "product": {"default_price": "price", "tax_code": ""},
    "customer": {"default_source": "", "test_clock": ""},
    "review": {"charge": "charge", "payment_intent": "payment_intent"},
    "radar.early_fraud_warning": {"charge": "charge", "payment_intent": "payment_intent"},
}
"""The kinds of fields that can be expanded; "" marks fields that are always null here."""

MAPS: Final = frozenset(
    """
    address adjustable_quantity after_expiration amount_details automatic_payment_methods
    branding_settings cash_balance collected_information company consent consent_collection
    currency_conversion currency_options custom_unit_amount customer_details discount discounts
    external_accounts fraud_details groups hooks individual invoice_creation ip_address_location
    last_payment_error name_collection next_action outcome package_dimensions payment_details
    payment_method_configuration_details payment_method_options permissions
    phone_number_collection presentment_details processing radar_options recurring
    saved_payment_method_options session shipping shipping_address_collection shipping_cost tax
    tax_id_collection taxes tiers tos_acceptance transfer_data transform_quantity wallet_options
    """.split()
)
"""Maps that may be null or absent: expanding them is no error and has no effect."""

Contents = Callable[[Scope, Json], list[Json]]
INCLUDABLE: Final[dict[tuple[str, str], tuple[str, Contents]]] = {}
"""Lists that only `expand` adds, by object kind and name: their URL and their contents."""


def includable(kind: str, name: str, url: str) -> Callable[[Contents], Contents]:
    """Register a list that `expand` adds to an object; `{id}` in the URL is the object's."""

    def register(contents: Contents) -> Contents:
        INCLUDABLE[kind, name] = (url, contents)
        return contents

    return register


def expanded(scope: Scope, answer: Json, paths: list[str]) -> Json:
    """Return a copy of the answer with the given paths expanded, or raise Stripe's 400."""
    result = dict(answer)
    for path in paths:
        steps = path.split(".")
        if len(steps) > MAX_DEPTH:
            message = f"You cannot expand more than {MAX_DEPTH} levels of a property. Property: "
            raise errors.invalid(message + path, "expand")
        _expand(scope, result, steps, path)
    return result


def _expand(scope: Scope, parent: Json, steps: list[str], path: str) -> None:
    name, rest = steps[0], steps[1:]
    if parent.get("object") == "list" and name == "data":
        parent["data"] = [_descend(scope, item, rest, path) for item in parent["data"]]
        return
    value = _resolve(scope, parent, name, path)
    if isinstance(value, list):
        parent[name] = [_descend(scope, item, rest, path) for item in value]
    elif isinstance(value, dict):
        parent[name] = _descend(scope, value, rest, path)
    elif value is not None:
        parent[name] = value


def _descend(scope: Scope, value: Any, rest: list[str], path: str) -> Any:
    if not isinstance(value, dict):
        return value
    copied = dict(value)
    if rest:
        _expand(scope, copied, rest, path)
    return copied


def _resolve(scope: Scope, parent: Json, name: str, path: str) -> Any:
    kind = str(parent.get("object", ""))
    if (kind, name) in INCLUDABLE and name not in parent:
        url, contents = INCLUDABLE[kind, name]
        data = contents(scope, parent)
        collection = lists.envelope(url.replace("{id}", parent["id"]), data[: lists.DEFAULT_LIMIT])
        collection["has_more"] = len(data) > lists.DEFAULT_LIMIT
        if name == "refunds":
            collection["total_count"] = len(data)
        return collection
    if name in REFERENCES.get(kind, {}):
        return _find_reference(scope, parent.get(name), REFERENCES[kind][name])
    if isinstance(parent.get(name), dict | list) or name in MAPS:
        return parent.get(name)
    raise errors.invalid(f"This property cannot be expanded ({path}).", "expand")


def _find_reference(scope: Scope, value: Any, kind: str) -> Any:
    if not isinstance(value, str):
        return value
    if kind == "*":
        tables = ("charge", "refund", "dispute")
        records = (scope.find(table, value) for table in tables)
        return next((record for record in records if record is not None), value)
    return scope.find(kind, value) or value
