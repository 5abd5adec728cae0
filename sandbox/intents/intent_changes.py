"""Apply the parameters of update and confirm to a payment intent."""

from sandbox.intents import payment_intents
from sandbox.intents.confirmation import check_descriptor, check_method
from sandbox.intents.intent_errors import unexpected_state
from sandbox.intents.payment_intents import AMOUNT_CHANGEABLE, PLAIN
from sandbox.objects import customers, money, payment_methods
from sandbox.world import objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope


def update(scope: Scope, intent: Json, given: Json) -> None:
    """Change the intent. Raises Stripe's refusal; the intent is then unchanged."""
    _check_money(intent, given)
    explicit = intent["automatic_payment_methods"] is None
    types = intent["payment_method_types"] if explicit else []
    check_descriptor(given.get("statement_descriptor"), types)
    if given.get("customer"):
        customers.find(scope, given["customer"], "customer")
    method = None
    if given.get("payment_method"):
        method = payment_methods.resolve(scope, given["payment_method"])
    if "payment_method_data" in given:
        method = payment_methods.create(scope, given["payment_method_data"], "payment_method_data")
    if method is not None:
        candidate = {**intent, "customer": given.get("customer", intent["customer"])}
        check_method(scope, candidate, method)
        intent["payment_method"] = method["id"]
        if intent["status"] in AMOUNT_CHANGEABLE:
            intent.update(status="requires_confirmation", next_action=None)
    for name in ("amount", "currency", "customer"):
        intent[name] = given.get(name, intent[name])
    absorb(intent, given)


def _check_money(intent: Json, given: Json) -> None:
    for name in ("amount", "currency"):
        changed = name in given and given[name] != intent[name]
        if changed and intent["status"] not in AMOUNT_CHANGEABLE:
            raise unexpected_state(
                intent,
                f"This PaymentIntent's {name} could not be updated because it has a status of "
                f"{intent['status']}. You may only update the {name} of a PaymentIntent with one "
                f"of the following statuses: {', '.join(AMOUNT_CHANGEABLE)}.",
                param=name,
            )
    if "amount" in given or "currency" in given:
        wanted = {**intent, **given}
        money.check_amount(wanted["amount"], wanted["currency"])


def _restrict_types(intent: Json, given: Json) -> None:
    """Replace the method types if a request restricts them."""
    names = ("allowed_payment_method_types", "excluded_payment_method_types")
    if not any(name in given for name in names):
        return
    intent.update({name: given[name] for name in names if name in given})
    kept = {name: intent.get(name) for name in names}
    intent["payment_method_types"] = payment_intents.method_types(
        {**kept, "currency": intent["currency"]}
    )[0]


def absorb(intent: Json, given: Json) -> None:
    """Store the parameters that update and confirm share."""
    for name in (*PLAIN, "capture_method"):
        if name in given:
            intent[name] = given[name]
    if "metadata" in given:
        objects.merge_metadata(intent, given["metadata"])
    if "shipping" in given:
        intent["shipping"] = objects.shipping(given["shipping"])
    if "payment_method_types" in given:
        intent.update(
            payment_method_types=list(given["payment_method_types"]),
            automatic_payment_methods=None,
            payment_method_configuration_details=None,
        )
    elif intent["automatic_payment_methods"] is not None:
        _restrict_types(intent, given)
    options = given.get("payment_method_options", {})
    payment_intents.merge_options(intent, options)
