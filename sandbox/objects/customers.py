"""Customers, as far as payments need them."""

from typing import Final

from sandbox.events_out import events
from sandbox.objects import payment_methods, single_use
from sandbox.wire import expand, lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope


def create(scope: Scope, inputs: Json) -> Json:
    """Store a new customer and return it."""
    customer: Json = {
        "id": ids.new_id("customer"),
        "object": "customer",
        "address": objects.address(inputs["address"]) if inputs.get("address") else None,
        "balance": 0,
        "created": scope.now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": inputs.get("description"),
        "discount": None,
        "email": inputs.get("email"),
        "invoice_prefix": ids.random_text(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": inputs.get("metadata") or {},
        "name": inputs.get("name"),
        "next_invoice_sequence": 1,
        "phone": inputs.get("phone"),
        "preferred_locales": [],
        "shipping": objects.shipping(inputs.get("shipping")),
        "tax_exempt": "none",
        "test_clock": None,
    }
    scope.put("customer", customer)
    events.emit(scope, "customer.created", customer)
    return customer


for _name in ("sources", "subscriptions", "tax_ids"):
    # The sandbox has no such objects, so an expanded list of them is empty.
    expand.includable("customer", _name, f"/v1/customers/{{id}}/{_name}")(lambda _, __: [])


def find(scope: Scope, customer_id: str, param: str = "id", status: int = 400) -> Json:
    """Return a customer, or raise Stripe's refusal."""
    customer = scope.find("customer", customer_id)
    if customer is None:
        raise errors.missing("customer", customer_id, param, status)
    return customer


def _create(call: Call) -> Json:
    method_id = call.params.get("payment_method")
    method = payment_methods.resolve(call.scope, method_id) if method_id else None
    refusal = single_use.attach_refusal(call.scope, method) if method else None
    if refusal is not None:
        raise refusal
    customer = create(call.scope, call.params)
    if method is not None:
        payment_methods.attach(call.scope, method, customer["id"])
    return customer


def _retrieve(call: Call) -> Json:
    if call.scope.note(call.ids[0]).get("deleted"):
        return {"id": call.ids[0], "object": "customer", "deleted": True}
    return find(call.scope, call.ids[0], status=404)


def _update(call: Call) -> Json:
    customer, inputs = find(call.scope, call.ids[0], status=404), dict(call.params)
    before = objects.copy_of(customer)
    if "metadata" in inputs:
        objects.merge_metadata(customer, inputs.pop("metadata"))
    if "shipping" in inputs:
        customer["shipping"] = objects.shipping(inputs.pop("shipping"))
    if "address" in inputs:
        address = inputs.pop("address")
        customer["address"] = objects.address(address) if address else None
    customer.update(inputs)
    events.emit(call.scope, "customer.updated", customer, before)
    return customer


def _delete(call: Call) -> Json:
    customer = find(call.scope, call.ids[0], status=404)
    call.scope.account.remove("customer", customer["id"])
    call.scope.note(customer["id"])["deleted"] = True
    events.emit(call.scope, "customer.deleted", customer)
    return {"id": customer["id"], "object": "customer", "deleted": True}


def _list(call: Call) -> Json:
    return lists.page(call, "customer", lists.matching(call, "email"))


_OPTIONAL: Final = params.unset_or(params.text())
_FIELDS: Final[dict[str, params.Parser | params.Required]] = {
    "address": params.ADDRESS,
    "description": _OPTIONAL,
    "email": params.unset_or(params.email()),
    "metadata": params.metadata(),
    "name": _OPTIONAL,
    "phone": _OPTIONAL,
    "shipping": params.SHIPPING,
    **params.not_simulated(
        """
        balance business_name cash_balance individual_name invoice_prefix invoice_settings
        next_invoice_sequence preferred_locales source tax tax_exempt
        """
    ),
}
_CREATE: Final[dict[str, params.Parser | params.Required]] = {
    **_FIELDS,
    "payment_method": params.text(),
    **params.not_simulated("tax_id_data test_clock"),
}
_UPDATE: Final[dict[str, params.Parser | params.Required]] = {
    **_FIELDS,
    **params.not_simulated(
        "bank_account card default_alipay_account default_bank_account default_card default_source"
    ),
}
_PATH: Final = "/v1/customers"
ROUTES: Final = (
    Route("POST", _PATH, _create, _CREATE),
    Route(
        "GET", _PATH, _list, lists.params(email=params.text(), **params.not_simulated("test_clock"))
    ),
    Route("GET", _PATH + "/{id}", _retrieve),
    Route("POST", _PATH + "/{id}", _update, _UPDATE),
    Route("DELETE", _PATH + "/{id}", _delete),
)
