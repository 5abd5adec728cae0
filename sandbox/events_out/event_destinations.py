"""Event destinations (API v2): webhook endpoints that can subscribe to thin events.

A destination is stored as a webhook endpoint with a note; only the routes of this module show it.
"""

from typing import Any, Final

from sandbox.events_out import event_forms, webhook_endpoints
from sandbox.events_out.event_types import check_thin_type
from sandbox.wire import lists, params, versions
from sandbox.wire.call import Call, Handler, Route
from sandbox.world import errors, ids, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope

KIND: Final = "v2.core.event_destination"
MAX_DESTINATIONS: Final = 16
"""Most event destinations of one account."""
SELF: Final = "@self"
ACCOUNTS: Final = "@accounts"
SOURCES: Final = (SELF, ACCOUNTS)
"""Whose events a destination gets: the account's own, those of the accounts connected to it."""


def _create(call: Call) -> Json:
    inputs, scope = call.params, call.scope
    if len(scope.account.table(KIND)) >= MAX_DESTINATIONS:
        raise errors.impossible(f"You can have at most {MAX_DESTINATIONS} event destinations.")
    _check_payload(inputs)
    thin = inputs["event_payload"] == "thin"
    endpoint = webhook_endpoints.register(
        scope,
        {
            "url": inputs["webhook_endpoint"]["url"],
            "enabled_events": _plain(inputs["enabled_events"], inputs["event_payload"]),
            "api_version": inputs.get("snapshot_api_version"),
        },
    )
    note = scope.note(endpoint["id"])
    sources = inputs.get("events_from", [SELF])
    note.update(thin=thin, connect=ACCOUNTS in sources, own=SELF in sources)
    destination: Json = {
        "id": ids.new_id(KIND),
        "object": KIND,
        "created": event_forms.iso(scope.now),
        "description": inputs.get("description", ""),
        "enabled_events": inputs["enabled_events"],
        "event_payload": inputs["event_payload"],
        "events_from": sources,
        "livemode": False,
        "metadata": inputs.get("metadata") or {},
        "name": inputs["name"],
        "snapshot_api_version": inputs.get("snapshot_api_version"),
        "status": "enabled",
        "status_details": None,
        "type": "webhook_endpoint",
        "updated": event_forms.iso(scope.now),
    }
    scope.put(KIND, destination)
    scope.note(destination["id"])["endpoint"] = endpoint["id"]
    note["destination"] = destination["id"]
    return _with_included(scope, destination, inputs.get("include", []))


def _check_payload(inputs: Json) -> None:
    """Refuse an API version for thin events, and event types of the other payload."""
    if inputs["event_payload"] == "thin" and "snapshot_api_version" in inputs:
        message = "snapshot_api_version can only be set when event_payload is snapshot."
        raise errors.invalid(message, "snapshot_api_version")
    thin = inputs["event_payload"] == "thin"
    for name in inputs["enabled_events"]:
        if name != "*" and name.startswith(("v1.", "v2.")) != thin:
            message = f"{name} is not an event type with a {inputs['event_payload']} payload."
            raise errors.invalid(message, "enabled_events")


def _with_included(scope: Scope, destination: Json, include: list[str]) -> Json:
    """Return the URL and the secret only if the request includes them."""
    endpoint_id = scope.note(destination["id"])["endpoint"]
    secret = scope.note(endpoint_id)["secrets"][0]["secret"]
    url = scope.get("webhook_endpoint", endpoint_id)["url"]
    endpoint = {
        "signing_secret": secret if "webhook_endpoint.signing_secret" in include else None,
        "url": url if "webhook_endpoint.url" in include else None,
    }
    return {**destination, "webhook_endpoint": endpoint}


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


def _update(call: Call) -> Json:
    destination, inputs = _find(call), dict(call.params)
    include = inputs.pop("include", [])
    endpoint = call.scope.get("webhook_endpoint", call.scope.note(destination["id"])["endpoint"])
    if "enabled_events" in inputs:
        payload = destination["event_payload"]
        _check_payload({"event_payload": payload, "enabled_events": inputs["enabled_events"]})
        endpoint["enabled_events"] = _plain(inputs["enabled_events"], payload)
    if "webhook_endpoint" in inputs:
        endpoint["url"] = inputs.pop("webhook_endpoint")["url"]
    if "metadata" in inputs:
        objects.merge_metadata(destination, inputs.pop("metadata"))
    destination.update(inputs, updated=event_forms.iso(call.scope.now))
    return _with_included(call.scope, destination, include)


def _switch(status: str) -> Handler:
    """Return the handler that enables or disables a destination."""

    def handle(call: Call) -> Json:
        destination = _find(call)
        endpoint_id = call.scope.note(destination["id"])["endpoint"]
        call.scope.get("webhook_endpoint", endpoint_id)["status"] = status
        disabled = {"disabled": {"reason": "user"}} if status == "disabled" else None
        destination.update(status=status, status_details=disabled)
        return _with_included(call.scope, destination, [])

    return handle


def _plain(names: list[str], payload: str) -> list[str]:
    """Return the types in a webhook endpoint's form: those of thin events without their `v1.`."""
    return [name.removeprefix("v1.") for name in names] if payload == "thin" else names


def _list(call: Call) -> Json:
    page = lists.page(call, KIND)
    include = call.params.get("include", [])
    data = [_with_included(call.scope, destination, include) for destination in page["data"]]
    return {"data": data, "next_page_url": None, "previous_page_url": None}


_LIST: Final[dict[str, Any]] = {
    "include": params.list_of(params.text()),
    "limit": params.integer(),
    "page": params.text(),
}
_INCLUDE: Final[dict[str, Any]] = {"include": params.list_of(params.text())}
_CREATE: Final[dict[str, Any]] = {
    **_INCLUDE,
    **params.not_simulated("amazon_eventbridge azure_event_grid"),
    "name": params.Required(params.text()),
    "description": params.unset_or(params.text()),
    "type": params.Required(params.one_of("webhook_endpoint")),
    "event_payload": params.Required(params.one_of("thin", "snapshot")),
    "events_from": params.list_of(params.one_of(*SOURCES)),
    "enabled_events": params.Required(params.list_of(check_thin_type)),
    "snapshot_api_version": params.one_of(*sorted(versions.VERSIONS)),
    "metadata": params.metadata(),
    "webhook_endpoint": params.Required(
        params.fields({"url": params.Required(webhook_endpoints.check_url)})
    ),
}
_UPDATE: Final[dict[str, Any]] = {
    **_INCLUDE,
    "description": params.unset_or(params.text()),
    "enabled_events": params.list_of(check_thin_type),
    "metadata": params.metadata(),
    "name": params.text(),
    "webhook_endpoint": params.fields({"url": params.Required(webhook_endpoints.check_url)}),
}
_PATH: Final = "/v2/core/event_destinations"
ROUTES: Final = (
    Route("POST", _PATH, _create, _CREATE),
    Route("GET", _PATH, _list, _LIST),
    Route("GET", _PATH + "/{id}", _retrieve, _INCLUDE),
    Route("POST", _PATH + "/{id}", _update, _UPDATE),
    Route("POST", _PATH + "/{id}/disable", _switch("disabled")),
    Route("POST", _PATH + "/{id}/enable", _switch("enabled")),
    Route("DELETE", _PATH + "/{id}", _delete),
)
