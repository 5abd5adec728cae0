"""Give events in their thin form: a notice without the object, to be resolved by a fetch."""

from typing import Final

from sandbox.events_out import event_forms, events
from sandbox.wire.call import Call, Route
from sandbox.world import errors
from sandbox.world.objects import Json


def _retrieve(call: Call) -> Json:
    thin_id = call.ids[0]
    events.forget_old(call.scope)
    snapshot = call.scope.find("event", event_forms.snapshot_id(thin_id))
    if snapshot is None:
        message = f"No such event: '{thin_id}'"
        raise errors.StripeError(404, {"code": "not_found", "message": message})
    return {"changes": None, **event_forms.thin(snapshot)}


ROUTES: Final = (Route("GET", "/v2/core/events/{id}", _retrieve),)
