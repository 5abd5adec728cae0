"""Serve `/v1/payment_intents`: check the request against the API version, then act."""

from typing import Any, Final

from sandbox.intents import confirmation, intent_params, payment_intents
from sandbox.intents.intent_changes import absorb, update
from sandbox.objects import accounts, customers, other_methods
from sandbox.wire import lists, params, versions
from sandbox.wire.call import Call, Route
from sandbox.world import errors
from sandbox.world.objects import Json

KNOWN_TYPES: Final = ("card", "link", "sepa_debit")


def _check_create(call: Call) -> None:
    inputs = call.params
    refuse_types_in_endive(call.version, inputs)
    accounts.refuse_others(call.scope, inputs)
    if "payment_method_types" in inputs and inputs.get("automatic_payment_methods"):
        message = "You may only specify one of these parameters: automatic_payment_methods, "
        raise errors.invalid(message + "payment_method_types.", "payment_method_types")
    if inputs.get("allowed_payment_method_types") is not None:
        _check_allowed_types(inputs)
    unconfirmed = [name for name in intent_params.NEEDS_CONFIRM if inputs.get(name)]
    if unconfirmed and not inputs.get("confirm"):
        message = f"The parameter `{unconfirmed[0]}` cannot be passed when creating a PaymentIntent"
        raise errors.invalid(f"{message} unless `confirm` is set to true.", unconfirmed[0])
    if inputs.get("customer"):
        customers.find(call.scope, inputs["customer"], "customer")


def _check_allowed_types(inputs: Json) -> None:
    rivals = (
        "payment_method_types",
        "excluded_payment_method_types",
        "automatic_payment_methods",
        "payment_method_configuration",
    )
    for rival in rivals:
        if inputs.get(rival) is not None:
            names = f"allowed_payment_method_types, {rival}"
            raise errors.invalid(f"You may only specify one of these parameters: {names}.", rival)


def refuse_types_in_endive(version: str, inputs: Any) -> None:
    """Raise endive's 400 for `payment_method_types`; unknown types are refused first."""
    if "payment_method_types" not in inputs:
        return
    if versions.is_endive(version):
        message = (
            "`payment_method_types` is no longer supported in this API version. Use dynamic "
            "payment methods, or `allowed_payment_method_types` to restrict them."
        )
        code = "payment_method_types_no_longer_supported"
        raise errors.invalid(message, "payment_method_types", code)
    for name in inputs["payment_method_types"]:
        if name not in KNOWN_TYPES:
            other_methods.method_type()(name, "payment_method_types")


def _create(call: Call) -> Json:
    _check_create(call)
    return payment_intents.create(call.scope, call.params)


def _retrieve(call: Call) -> Json:
    return _find(call)


def _find(call: Call) -> Json:
    """Return the intent; a client secret in the request must be that of the intent."""
    intent = payment_intents.find(call.scope, call.ids[0])
    if call.params.get("client_secret", intent["client_secret"]) != intent["client_secret"]:
        message = (
            "The client_secret provided does not match the client_secret associated with this "
            "PaymentIntent."
        )
        raise errors.invalid(message, "client_secret")
    return intent


def _update(call: Call) -> Json:
    refuse_types_in_endive(call.version, call.params)
    accounts.refuse_others(call.scope, call.params)
    intent = payment_intents.find(call.scope, call.ids[0])
    update(call.scope, intent, call.params)
    return intent


def _confirm(call: Call) -> Json:
    refuse_types_in_endive(call.version, call.params)
    intent = _find(call)
    method = confirmation.prepare(call.scope, intent, call.params)
    absorb(intent, call.params)
    confirmation.pay(call.scope, intent, method, call.params)
    return intent


def _capture(call: Call) -> Json:
    accounts.refuse_others(call.scope, call.params)
    intent = payment_intents.find(call.scope, call.ids[0])
    payment_intents.capture(call, intent)
    return intent


def _cancel(call: Call) -> Json:
    intent = payment_intents.find(call.scope, call.ids[0])
    payment_intents.cancel(call, intent)
    return intent


def _list(call: Call) -> Json:
    return lists.page(call, "payment_intent", lists.matching(call, "customer"))


_PATH: Final = "/v1/payment_intents"
_LIST: Final = lists.params(customer=params.text(), **params.not_simulated("customer_account"))
ROUTES: Final = (
    Route("POST", _PATH, _create, intent_params.CREATE),
    Route("GET", _PATH, _list, _LIST),
    Route("GET", _PATH + "/{id}", _retrieve, {"client_secret": params.text()}),
    Route("POST", _PATH + "/{id}", _update, intent_params.UPDATE),
    Route("POST", _PATH + "/{id}/confirm", _confirm, intent_params.CONFIRM),
    Route("POST", _PATH + "/{id}/capture", _capture, intent_params.CAPTURE),
    Route("POST", _PATH + "/{id}/cancel", _cancel, intent_params.CANCEL),
)
