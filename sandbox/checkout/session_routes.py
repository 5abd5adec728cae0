"""Serve `/v1/checkout/sessions`, and the undocumented `/v1/payment_pages` the CLI pays through."""

from typing import Final

from sandbox.checkout import session_params, sessions
from sandbox.checkout.line_items import items_of
from sandbox.intents.intent_routes import refuse_types_in_endive
from sandbox.objects import accounts, customers, payment_methods
from sandbox.wire import lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, objects
from sandbox.world.objects import Json


def _create(call: Call) -> Json:
    inputs = call.params
    refuse_types_in_endive(call.version, inputs)
    if inputs["mode"] != "payment":
        message = f"The sandbox simulates one-time payments only, not mode={inputs['mode']}."
        raise errors.invalid(message, "mode")
    accounts.refuse_others(call.scope, inputs.get("payment_intent_data", {}), "payment_intent_data")
    _check_addresses(inputs)
    if inputs.get("customer") and inputs.get("customer_email"):
        message = "You may only specify one of these parameters: customer, customer_email."
        raise errors.invalid(message, "customer")
    if inputs.get("customer"):
        customers.find(call.scope, inputs["customer"], "customer")
    return sessions.create(call.scope, inputs)


def _check_addresses(inputs: Json) -> None:
    """Require the return address of this kind of page, and refuse those of other kinds."""
    mode = inputs.get("ui_mode", "hosted_page")
    hosted = mode == "hosted_page"
    needed = "success_url" if hosted else "return_url"
    others = ["return_url"] if hosted else ["success_url", "cancel_url"]
    for name in others:
        if name in inputs:
            raise errors.invalid(f"`{name}` cannot be passed with `ui_mode: {mode}`.", name)
    if needed not in inputs:
        raise errors.invalid(f"Missing required param: {needed}.", needed, "parameter_missing")


def _retrieve(call: Call) -> Json:
    return sessions.find(call.scope, call.ids[0])


def _update(call: Call) -> Json:
    session = sessions.find(call.scope, call.ids[0])
    if "metadata" in call.params:
        objects.merge_metadata(session, call.params["metadata"])
    return session


def _expire(call: Call) -> Json:
    session = sessions.find(call.scope, call.ids[0])
    sessions.expire(call.scope, session)
    return session


def _list(call: Call) -> Json:
    same = lists.matching(call, "customer", "payment_intent", "status")
    email = call.params.get("customer_details", {}).get("email")

    def matches(session: Json) -> bool:
        details = session["customer_details"] or {}
        return same(session) and email in (None, details.get("email"))

    return lists.page(call, sessions.KIND, matches)


def _list_items(call: Call) -> Json:
    session = sessions.find(call.scope, call.ids[0])
    return lists.envelope(call.path, items_of(call.scope, session))


def _page_of(session: Json, intent: Json | None) -> Json:
    return {
        "id": "ppage_1" + session["id"][-23:],
        "object": "payment_page",
        "amount_total": session["amount_total"],
        "currency": session["currency"],
        "livemode": False,
        "payment_intent": intent,
        "payment_method_types": session["payment_method_types"],
        "payment_status": session["payment_status"],
        "session_id": session["id"],
        "status": session["status"],
        "success_url": session["success_url"],
        "url": session["url"],
    }


def _page(call: Call) -> Json:
    session = sessions.find(call.scope, call.ids[0])
    intent = call.scope.find("payment_intent", session["payment_intent"])
    return _page_of(session, intent)


def _confirm_page(call: Call) -> Json:
    session = sessions.find(call.scope, call.ids[0])
    amount = call.params["expected_amount"]
    if amount != session["amount_total"]:
        message = (
            f"The expected amount ({amount}) is not the amount of the Checkout Session "
            f"({session['amount_total']})."
        )
        raise errors.invalid(message, "expected_amount", "checkout_amount_mismatch")
    method = payment_methods.resolve(call.scope, call.params["payment_method"])
    intent = sessions.pay(call.scope, session, method)
    return _page_of(session, intent)


_PATH: Final = "/v1/checkout/sessions"
_PAGE: Final = "/v1/payment_pages/{id}"
ROUTES: Final = (
    Route("POST", _PATH, _create, session_params.CREATE),
    Route(
        "GET",
        _PATH,
        _list,
        lists.params(
            customer=params.text(),
            customer_details=params.fields({"email": params.text()}),
            payment_intent=params.text(),
            status=params.one_of("complete", "expired", "open"),
            **params.not_simulated("customer_account payment_link subscription"),
        ),
    ),
    Route("GET", _PATH + "/{id}", _retrieve),
    Route("POST", _PATH + "/{id}", _update, session_params.UPDATE),
    Route("POST", _PATH + "/{id}/expire", _expire),
    Route("GET", _PATH + "/{id}/line_items", _list_items, lists.params()),
    Route("GET", _PAGE, _page),
    Route(
        "POST",
        _PAGE + "/confirm",
        _confirm_page,
        {
            "payment_method": params.Required(params.text()),
            "expected_amount": params.Required(params.integer()),
        },
    ),
)
