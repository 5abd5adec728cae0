"""Webhook endpoints: the URL, event types, API version and signing secrets of each."""

import re
from typing import Final

from sandbox.events_out import neighbourhood
from sandbox.events_out.event_types import check_event_type
from sandbox.wire import lists, params, versions
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids
from sandbox.world.clock import Clock
from sandbox.world.objects import Json, merge_metadata
from sandbox.world.world import Account, Scope

OLD_SECRET_VALID_SECONDS: Final = 24 * 3600
"""Seconds. After a roll, the old secret also signs for a day."""
URL: Final = re.compile(r"https?://[^\s/]+")


def register(scope: Scope, inputs: Json, secret: str | None = None) -> Json:
    """Keep a new endpoint and its signing secret, and return the endpoint."""
    _check_reach(scope, inputs["url"])
    endpoint: Json = {
        "id": ids.new_id("webhook_endpoint"),
        "object": "webhook_endpoint",
        "api_version": inputs.get("api_version"),
        "application": _application(scope) if inputs.get("connect") else None,
        "created": scope.now,
        "description": inputs.get("description"),
        "enabled_events": inputs["enabled_events"],
        "livemode": False,
        "metadata": inputs.get("metadata") or {},
        "status": "enabled",
        "url": inputs["url"],
    }
    note = scope.note(endpoint["id"])
    note["secrets"] = [{"secret": secret or ids.signing_secret(), "until": None}]
    note["connect"] = inputs.get("connect", False)
    return scope.put("webhook_endpoint", endpoint)


def _application(scope: Scope) -> str:
    """Return the id of the platform's Connect application, which marks a Connect endpoint."""
    return "ca_" + scope.account.id.removeprefix("acct_")


def _check_reach(scope: Scope, url: str) -> None:
    """Refuse a private address that was not named when the sandbox was started."""
    if not neighbourhood.may_be_registered(url, scope.world.webhook_hosts):
        message = "Not simulated: the sandbox calls loopback only; name others in "
        raise errors.invalid(f"{message}SANDBOX_WEBHOOK_HOSTS.", "url", "url_invalid")


def rotate(scope: Scope, endpoint: Json, secret: str | None = None) -> str:
    """Create a new secret for an endpoint; the old one also signs for a day."""
    fresh = secret or ids.signing_secret()
    secrets = scope.note(endpoint["id"])["secrets"]
    for old in secrets:
        old["until"] = old["until"] or scope.now + OLD_SECRET_VALID_SECONDS
    secrets.insert(0, {"secret": fresh, "until": None})
    return fresh


def valid_secrets(account: Account, endpoint: Json, clock: Clock) -> list[str]:
    """Return the secrets that sign for an endpoint now, the newest first."""
    entries = account.note(endpoint["id"])["secrets"]
    return [
        entry["secret"]
        for entry in entries
        if entry["until"] is None or entry["until"] > clock.now()
    ]


def listens_to(owner: Account, endpoint: Json, account: Account, event_type: str) -> bool:
    """Say whether an endpoint gets this type of event of this account.

    An endpoint gets events of its own account, or if created with `connect`, those of the connected
    accounts. An event destination may get both.
    """
    if endpoint["status"] != "enabled":
        return False
    note = owner.note(endpoint["id"])
    hears_others = note.get("connect", False)
    if not (hears_others if account.id != owner.id else note.get("own", not hears_others)):
        return False
    types = endpoint["enabled_events"]
    return "*" in types or event_type in types


def check_url(value: object, name: str) -> str:
    """Accept an http or https URL."""
    if isinstance(value, str) and URL.match(value):
        return value
    message = "Invalid URL: URL must be a valid URL beginning with http:// or https://"
    raise errors.invalid(message, name, "url_invalid")


def _version(value: object, name: str) -> str:
    if value in versions.VERSIONS:
        return str(value)
    raise errors.invalid(f"Invalid {name}: {value}", name)


_CHANGEABLE: Final = {
    "description": params.unset_or(params.text()),
    "metadata": params.metadata(),
}
_EVENTS: Final = params.list_of(check_event_type)


def _is_public(scope: Scope, endpoint: Json) -> bool:
    """Say whether it was created by this API: event destinations have an API of their own."""
    return "destination" not in scope.note(endpoint["id"])


def _find(call: Call) -> Json:
    endpoint = call.scope.find("webhook_endpoint", call.ids[0])
    if endpoint is None or not _is_public(call.scope, endpoint):
        raise errors.missing("webhook endpoint", call.ids[0], "webhook_endpoint")
    return endpoint


def _create(call: Call) -> Json:
    if not call.params["enabled_events"]:
        raise errors.invalid("You must enable at least one event.", "enabled_events")
    endpoint = register(call.scope, call.params)
    secret = call.scope.note(endpoint["id"])["secrets"][0]["secret"]
    return {**endpoint, "secret": secret}


def _retrieve(call: Call) -> Json:
    return _find(call)


def _update(call: Call) -> Json:
    endpoint, inputs = _find(call), dict(call.params)
    if "url" in inputs:
        _check_reach(call.scope, inputs["url"])
    if "metadata" in inputs:
        merge_metadata(endpoint, inputs.pop("metadata"))
    if "disabled" in inputs:
        endpoint["status"] = "disabled" if inputs.pop("disabled") else "enabled"
    endpoint.update(inputs)
    return endpoint


def _delete(call: Call) -> Json:
    endpoint = _find(call)
    call.scope.account.remove("webhook_endpoint", endpoint["id"])
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def _list(call: Call) -> Json:
    return lists.page(call, "webhook_endpoint", lambda record: _is_public(call.scope, record))


_PATH: Final = "/v1/webhook_endpoints"
ROUTES: Final = (
    Route(
        "POST",
        _PATH,
        _create,
        {
            "url": params.Required(check_url),
            "enabled_events": params.Required(_EVENTS),
            "api_version": _version,
            "connect": params.boolean(),
            **_CHANGEABLE,
        },
    ),
    Route("GET", _PATH, _list, lists.params()),
    Route("GET", _PATH + "/{id}", _retrieve),
    Route(
        "POST",
        _PATH + "/{id}",
        _update,
        {"url": check_url, "enabled_events": _EVENTS, "disabled": params.boolean(), **_CHANGEABLE},
    ),
    Route("DELETE", _PATH + "/{id}", _delete),
)
