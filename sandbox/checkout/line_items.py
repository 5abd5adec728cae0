"""Compute the line items of a checkout session."""

from typing import Any, Final

from sandbox.objects import catalog, money
from sandbox.wire import expand, params
from sandbox.world import errors, ids
from sandbox.world.objects import Json
from sandbox.world.world import Scope

MAX_ITEMS: Final = 100


def build_items(scope: Scope, inputs: list[Json]) -> list[Json]:
    """Return the line items with prices. Raises Stripe's refusals."""
    if not inputs:
        message = "Missing required param: line_items."
        raise errors.invalid(message, "line_items", "parameter_missing")
    if len(inputs) > MAX_ITEMS:
        raise errors.invalid(f"You can pass at most {MAX_ITEMS} line items.", "line_items")
    items = [_item(scope, entry, index) for index, entry in enumerate(inputs)]
    if len({item["currency"] for item in items}) > 1:
        raise errors.invalid("All line items must have the same currency.", "line_items")
    total = sum(item["amount_total"] for item in items)
    if total > 0:
        money.check_amount(total, items[0]["currency"], "line_items")
    return items


def _item(scope: Scope, inputs: Json, index: int) -> Json:
    price, quantity = _price(scope, inputs, index), inputs.get("quantity", 1)
    amount = price["unit_amount"] * quantity
    product = scope.get("product", price["product"])
    return {
        "id": ids.new_id("item"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": product["name"],
        "metadata": inputs.get("metadata") or {},
        "price": price,
        "quantity": quantity,
    }


def _price(scope: Scope, inputs: Json, index: int) -> Json:
    name = f"line_items[{index}]"
    params.one_only(inputs, "price", "price_data")
    if "price_data" in inputs:
        return catalog.create_price(scope, inputs["price_data"])
    if "price" not in inputs:
        message = f"Missing required param: {name}[price]."
        raise errors.invalid(message, f"{name}[price]", "parameter_missing")
    price = scope.find("price", inputs["price"])
    if price is None:
        raise errors.missing("price", inputs["price"], f"{name}[price]", status=400)
    return price


@expand.includable("checkout.session", "line_items", "/v1/checkout/sessions/{id}/line_items")
def items_of(scope: Scope, session: Json) -> list[Json]:
    """Return the line items of a session."""
    items: list[Json] = scope.note(session["id"])["items"]
    return items


_PRICE_DATA: Final = params.fields(
    {
        "currency": params.Required(money.parse_currency),
        "product": params.text(),
        "product_data": catalog.PRODUCT_DATA,
        "tax_behavior": params.text(),
        "unit_amount": params.integer(0),
        **params.not_simulated("recurring unit_amount_decimal"),
    }
)
_ITEM: Final[dict[str, Any]] = {
    "adjustable_quantity": params.DISABLED,
    **params.not_simulated("dynamic_tax_rates tax_rates"),
    "metadata": params.metadata(),
    "price": params.text(),
    "price_data": _PRICE_DATA,
    "quantity": params.integer(1),
}
PARAMS: Final = params.list_of(params.fields(_ITEM))
