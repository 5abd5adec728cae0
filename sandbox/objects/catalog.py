"""Products and prices, as far as checkout needs them."""

from typing import Any, Final

from sandbox.events_out import events
from sandbox.objects import money
from sandbox.wire import lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope


def create_product(scope: Scope, inputs: Json) -> Json:
    """Store a new product and return it."""
    product: Json = {
        "id": inputs.get("id") or ids.new_id("product"),
        "object": "product",
        "active": inputs.get("active", True),
        "created": scope.now,
        "default_price": None,
        "description": inputs.get("description"),
        "images": inputs.get("images", []),
        "livemode": False,
        "marketing_features": inputs.get("marketing_features", []),
        "metadata": inputs.get("metadata") or {},
        "name": inputs["name"],
        "package_dimensions": None,
        "shippable": inputs.get("shippable"),
        "statement_descriptor": inputs.get("statement_descriptor"),
        "tax_code": inputs.get("tax_code"),
        "unit_label": inputs.get("unit_label"),
        "updated": scope.now,
        "url": inputs.get("url"),
    }
    scope.put("product", product)
    events.emit(scope, "product.created", product)
    return product


def create_price(scope: Scope, inputs: Json) -> Json:
    """Store a new one-time price and return it."""
    params.one_only(inputs, "product", "product_data")
    product_id = inputs.get("product")
    if product_id is None and "product_data" in inputs:
        product_id = create_product(scope, inputs["product_data"])["id"]
    if product_id is None:
        message = "You must specify either `product` or `product_data` when creating a price."
        raise errors.invalid(message, "product", "parameter_missing")
    if scope.find("product", product_id) is None:
        raise errors.missing("product", product_id, "product", status=400)
    if "unit_amount" not in inputs:
        message = "Missing required param: unit_amount. The sandbox keeps one-time prices only."
        raise errors.invalid(message, "unit_amount", "parameter_missing")
    price: Json = {
        "id": ids.new_id("price"),
        "object": "price",
        "active": inputs.get("active", True),
        "billing_scheme": "per_unit",
        "created": scope.now,
        "currency": inputs["currency"],
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": inputs.get("lookup_key"),
        "metadata": inputs.get("metadata") or {},
        "nickname": inputs.get("nickname"),
        "product": product_id,
        "recurring": None,
        "tax_behavior": inputs.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": inputs["unit_amount"],
        "unit_amount_decimal": str(inputs["unit_amount"]),
    }
    scope.put("price", price)
    events.emit(scope, "price.created", price)
    return price


def _find(call: Call, kind: str) -> Json:
    record = call.scope.find(kind, call.ids[0])
    if record is None:
        raise errors.missing(kind, call.ids[0], "id")
    return record


def _update(call: Call, kind: str) -> Json:
    record, inputs = _find(call, kind), dict(call.params)
    before = objects.copy_of(record)
    if "metadata" in inputs:
        objects.merge_metadata(record, inputs.pop("metadata"))
    record.update(inputs)
    if kind == "product":
        record["updated"] = call.scope.now
    events.emit(call.scope, f"{kind}.updated", record, before)
    return record


def _delete_product(call: Call) -> Json:
    product = _find(call, "product")
    prices = call.scope.account.table("price").values()
    if any(price["product"] == product["id"] for price in prices):
        message = "This product cannot be deleted because it has one or more user-created prices."
        raise errors.impossible(message)
    call.scope.account.remove("product", product["id"])
    events.emit(call.scope, "product.deleted", product)
    return {"id": product["id"], "object": "product", "deleted": True}


def _list_products(call: Call) -> Json:
    same, ids = lists.matching(call, "active", "shippable", "url"), call.params.get("ids")
    return lists.page(
        call, "product", lambda record: same(record) and (not ids or record["id"] in ids)
    )


def _list_prices(call: Call) -> Json:
    same = lists.matching(call, "active", "product", "currency", "type")
    keys = call.params.get("lookup_keys")
    return lists.page(
        call, "price", lambda record: same(record) and (not keys or record["lookup_key"] in keys)
    )


_OPTIONAL: Final = params.unset_or(params.text())
_PRODUCT: Final[dict[str, Any]] = {
    "active": params.boolean(),
    "description": _OPTIONAL,
    "images": params.list_of(params.text()),
    "marketing_features": params.list_of(params.fields({"name": params.Required(params.text())})),
    "metadata": params.metadata(),
    "shippable": params.boolean(),
    "statement_descriptor": params.text(22),
    "tax_code": params.text(),
    "unit_label": _OPTIONAL,
    "url": _OPTIONAL,
    **params.not_simulated("package_dimensions"),
}
PRODUCT_DATA: Final = params.fields(
    {**_PRODUCT, "name": params.Required(params.text()), **params.not_simulated("id")}
)
_PRICE_CHANGES: Final[dict[str, Any]] = {
    "active": params.boolean(),
    "lookup_key": params.text(200),
    "metadata": params.metadata(),
    "nickname": _OPTIONAL,
    "tax_behavior": params.one_of("exclusive", "inclusive", "unspecified"),
    **params.not_simulated("currency_options transfer_lookup_key", "false"),
}
_PRICE: Final[dict[str, Any]] = {
    **_PRICE_CHANGES,
    "billing_scheme": params.one_of("per_unit"),
    "currency": params.Required(money.parse_currency),
    "product": params.text(),
    "product_data": PRODUCT_DATA,
    "unit_amount": params.integer(0),
    **params.not_simulated(
        "custom_unit_amount recurring tiers tiers_mode transform_quantity unit_amount_decimal"
    ),
}
ROUTES: Final = (
    Route(
        "POST",
        "/v1/products",
        lambda call: create_product(call.scope, call.params),
        {
            **_PRODUCT,
            "id": params.text(),
            "name": params.Required(params.text()),
            **params.not_simulated("default_price_data"),
        },
    ),
    Route(
        "GET",
        "/v1/products",
        _list_products,
        lists.params(
            active=params.boolean(),
            ids=params.list_of(params.text()),
            shippable=params.boolean(),
            url=params.text(),
        ),
    ),
    Route("GET", "/v1/products/{id}", lambda call: _find(call, "product")),
    Route(
        "POST",
        "/v1/products/{id}",
        lambda call: _update(call, "product"),
        {**_PRODUCT, "name": params.text(), **params.not_simulated("default_price")},
    ),
    Route("DELETE", "/v1/products/{id}", _delete_product),
    Route("POST", "/v1/prices", lambda call: create_price(call.scope, call.params), _PRICE),
    Route(
        "GET",
        "/v1/prices",
        _list_prices,
        lists.params(
            active=params.boolean(),
            currency=money.parse_currency,
            lookup_keys=params.list_of(params.text()),
            product=params.text(),
            type=params.one_of("one_time", "recurring"),
            **params.not_simulated("recurring"),
        ),
    ),
    Route("GET", "/v1/prices/{id}", lambda call: _find(call, "price")),
    Route("POST", "/v1/prices/{id}", lambda call: _update(call, "price"), _PRICE_CHANGES),
)
