"""Keep event destinations (API v2): webhook endpoints that can ask for thin events.

Inside, a destination is a webhook endpoint with a note; it is shown only here.
"""

from typing import Any, Final

from sandbox.events_out import event_forms, webhook_endpoints
from sandbox.events_out.event_types import check_thin_type
from sandbox.wire import lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids
from sandbox.world.objects import Json
from sandbox.world.world import Scope

KIND: Final = "v2.core.event_destination"


def _create(call: Call) -> Json:
    given, scope = call.params, call.scope
    thin = given["event_payload"] == "thin"
    prefix = "v1." if thin else ""
    endpoint = webhook_endpoints.register(
        scope,
        {
            "url": given["webhook_endpoint"]["url"],
            "enabled_events": [name.removeprefix(prefix) for name in given["enabled_events"]],
            "api_version": given.get("snapshot_api_version"),
        },
    )
    note = scope.note(endpoint["id"])
    note.update(thin=thin, connect=given.get("events_from") == ["other_accounts"])
    destination: Json = {
        "id": ids.new_id(KIND),
        "object": KIND,
        "created": event_forms.iso(scope.now),
        "description": given.get("description", ""),
        "enabled_events": given["enabled_events"],
        "event_payload": given["event_payload"],
        "events_from": given.get("events_from", ["self"]),
        "livemode": False,
        "metadata": given.get("metadata") or {},
        "name": given["name"],
        "snapshot_api_version": given.get("snapshot_api_version"),
        "status": "enabled",
        "status_details": None,
        "type": "webhook_endpoint",
        "updated": event_forms.iso(scope.now),
    }
    scope.put(KIND, destination)
    scope.note(destination["id"])["endpoint"] = endpoint["id"]
    note["destination"] = destination["id"]
    return _with_included(scope, destination, given.get("include", []))


def _with_included(scope: Scope, destination: Json, include: list[str]) -> Json:
    """Show the URL and the secret only to those who ask for them."""
    endpoint_id = scope.note(destination["id"])["endpoint"]
    secret = scope.note(endpoint_id)["secrets"][0]["secret"]
    url = scope.get("webhook_endpoint", endpoint_id)["url"]
    shown = {
        "signing_secret": secret if "webhook_endpoint.signing_secret" in include else None,
        "url": url if "webhook_endpoint.url" in include else None,
    }
    return {**destination, "webhook_endpoint": shown}


def _find(call: Call) -> Json:
    destination = call.scope.find(KIND, call.ids[0])
    if destination is None:
        message = f"No such event destination: '{call.ids[0]}'"
        raise errors.StripeError(404, {"code": "not_found", "message": message})
    return destination


def _retrieve(call: Call) -> Json:
    return _with_included(call.scope, _find(call), call.params.get("include", []))


def _delete(call: Call) -> Json:
    destination = _find(call)
    endpoint_id = call.scope.note(destination["id"])["endpoint"]
    call.scope.account.remove("webhook_endpoint", endpoint_id)
    call.scope.account.remove(KIND, destination["id"])
    return {"id": destination["id"], "object": KIND, "deleted": True}


def _list(call: Call) -> Json:
    page = lists.page(call, KIND)
    include = call.params.get("include", [])
    data = [_with_included(call.scope, destination, include) for destination in page["data"]]
    return {"data": data, "next_page_url": None, "previous_page_url": None}


_INCLUDE: Final[dict[str, Any]] = {"include": params.list_of(params.text())}
_CREATE: Final[dict[str, Any]] = {
    **_INCLUDE,
    "name": params.Required(params.text()),
    "description": params.unset_or(params.text()),
    "type": params.Required(params.one_of("webhook_endpoint")),
    "event_payload": params.Required(params.one_of("thin", "snapshot")),
    "events_from": params.list_of(params.one_of("self", "other_accounts")),
    "enabled_events": params.Required(params.list_of(check_thin_type)),
    "snapshot_api_version": params.text(),
    "metadata": params.metadata(),
    "webhook_endpoint": params.Required(
        params.fields({"url": params.Required(webhook_endpoints.check_url)})
    ),
}
_PATH: Final = "/v2/core/event_destinations"
ROUTES: Final = (
    Route("POST", _PATH, _create, _CREATE),
    Route("GET", _PATH, _list, lists.params(**_INCLUDE)),
    Route("GET", _PATH + "/{id}", _retrieve, _INCLUDE),
    Route("DELETE", _PATH + "/{id}", _delete),
)
