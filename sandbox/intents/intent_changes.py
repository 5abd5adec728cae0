"""Apply the parameters of update and confirm to a payment intent."""

from sandbox.intents import payment_intents
from sandbox.intents.confirmation import check_descriptor, check_method
from sandbox.intents.intent_errors import unexpected_state
from sandbox.intents.payment_intents import AMOUNT_CHANGEABLE, PLAIN
from sandbox.objects import customers, money, payment_methods
from sandbox.world import objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope


def update(scope: Scope, intent: Json, inputs: Json) -> None:
    """Change the intent. Raises Stripe's refusal; the intent is then unchanged."""
    _check_money(intent, inputs)
    explicit = intent["automatic_payment_methods"] is None
    types = intent["payment_method_types"] if explicit else []
    check_descriptor(inputs.get("statement_descriptor"), types)
    if inputs.get("customer"):
        customers.find(scope, inputs["customer"], "customer")
    method = None
    if inputs.get("payment_method"):
        method = payment_methods.resolve(scope, inputs["payment_method"])
    if "payment_method_data" in inputs:
        method = payment_methods.create(scope, inputs["payment_method_data"], "payment_method_data")
    if method is not None:
        candidate = {**intent, "customer": inputs.get("customer", intent["customer"])}
        check_method(scope, candidate, method)
        intent["payment_method"] = method["id"]
        if intent["status"] in AMOUNT_CHANGEABLE:
            intent.update(status="requires_confirmation", next_action=None)
    for name in ("amount", "currency", "customer"):
        intent[name] = inputs.get(name, intent[name])
    absorb(intent, inputs)


def _check_money(intent: Json, inputs: Json) -> None:
    for name in ("amount", "currency"):
        changed = name in inputs and inputs[name] != intent[name]
        if changed and intent["status"] not in AMOUNT_CHANGEABLE:
            raise unexpected_state(
                intent,
                f"This PaymentIntent's {name} could not be updated because it has a status of "
                f"{intent['status']}. You may only update the {name} of a PaymentIntent with one "
                f"of the following statuses: {', '.join(AMOUNT_CHANGEABLE)}.",
                param=name,
            )
    if "amount" in inputs or "currency" in inputs:
        result = {**intent, **inputs}
        money.check_amount(result["amount"], result["currency"])


def _restrict_types(intent: Json, inputs: Json) -> None:
    """Replace the method types if a request restricts them."""
    names = ("allowed_payment_method_types", "excluded_payment_method_types")
    if not any(name in inputs for name in names):
        return
    intent.update({name: inputs[name] for name in names if name in inputs})
    restrictions = {name: intent.get(name) for name in names}
    intent["payment_method_types"] = payment_intents.method_types(
        {**restrictions, "currency": intent["currency"]}
    )[0]


def absorb(intent: Json, inputs: Json) -> None:
    """Store the parameters that update and confirm share."""
    for name in (*PLAIN, "capture_method"):
        if name in inputs:
            intent[name] = inputs[name]
    if "metadata" in inputs:
        objects.merge_metadata(intent, inputs["metadata"])
    if "shipping" in inputs:
        intent["shipping"] = objects.shipping(inputs["shipping"])
    if "payment_method_types" in inputs:
        intent.update(
            payment_method_types=list(inputs["payment_method_types"]),
            automatic_payment_methods=None,
            payment_method_configuration_details=None,
        )
    elif intent["automatic_payment_methods"] is not None:
        _restrict_types(intent, inputs)
    options = inputs.get("payment_method_options", {})
    payment_intents.merge_options(intent, options)
