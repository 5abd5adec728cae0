"""Early fraud warnings: an issuer reports that a payment may be fraudulent."""

from typing import Final

from sandbox.cards.test_data import DisputeKind
from sandbox.events_out import events
from sandbox.objects import payment_methods
from sandbox.wire import lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope, reacts_to

KIND: Final = "radar.early_fraud_warning"
FRAUD_TYPES: Final = (
    "card_never_received",
    "fraudulent_card_application",
    "made_with_counterfeit_card",
    "made_with_lost_card",
    "made_with_stolen_card",
    "misc",
    "unauthorized_use_of_card",
)


@reacts_to("payment_intent.succeeded")
def _test_card_warns(scope: Scope, intent: Json) -> None:
    charge = scope.get("charge", intent["latest_charge"])
    method = scope.get("payment_method", charge["payment_method"])
    if method["type"] != "card":
        return
    if payment_methods.card_of(scope, method).dispute is not DisputeKind.FRAUD_WARNING:
        return
    warn(scope.unasked(), charge)


def warn(scope: Scope, charge: Json, fraud_type: str = "misc") -> Json:
    """Store an issuer's warning about a charge; it is not actionable after a refund or dispute."""
    warning: Json = {
        "id": ids.new_id(KIND),
        "object": KIND,
        "actionable": not (charge["refunded"] or charge["disputed"]),
        "charge": charge["id"],
        "created": scope.now,
        "fraud_type": fraud_type,
        "livemode": False,
        "payment_intent": charge["payment_intent"],
    }
    scope.put(KIND, warning)
    events.emit(scope, "radar.early_fraud_warning.created", warning)
    return warning


@reacts_to("charge.refunded")
def _refund_settles_warning(scope: Scope, charge: Json) -> None:
    if charge["refunded"]:
        _settle(scope, charge["id"])


@reacts_to("charge.dispute.created")
def _dispute_settles_warning(scope: Scope, dispute: Json) -> None:
    _settle(scope, dispute["charge"])


def _settle(scope: Scope, charge_id: str) -> None:
    for warning in scope.account.table(KIND).values():
        if warning["charge"] == charge_id and warning["actionable"]:
            before = objects.copy_of(warning)
            scope.account.touch(warning["id"])
            warning["actionable"] = False
            events.emit(scope.unasked(), "radar.early_fraud_warning.updated", warning, before)


def _retrieve(call: Call) -> Json:
    warning = call.scope.find(KIND, call.ids[0])
    if warning is None:
        raise errors.missing("early fraud warning", call.ids[0], "early_fraud_warning")
    return warning


def _list(call: Call) -> Json:
    return lists.page(call, KIND, lists.matching(call, "charge", "payment_intent"))


_PATH: Final = "/v1/radar/early_fraud_warnings"
ROUTES: Final = (
    Route("GET", _PATH, _list, lists.params(charge=params.text(), payment_intent=params.text())),
    Route("GET", _PATH + "/{id}", _retrieve),
)
