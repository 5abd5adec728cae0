"""Read and check the body of a control call."""

from dataclasses import fields

from sandbox.world import errors
from sandbox.world.objects import Json
from sandbox.world.world import Scope, World


def choice(body: Json, name: str, choices: tuple[str, ...]) -> str:
    """Return one of the words, or raise 400."""
    value = body.get(name)
    if value not in choices:
        raise errors.invalid(f"{name} must be one of {', '.join(choices)}", name)
    return str(value)


def only(body: Json, *names: str) -> Json:
    """Return the body if it has no other fields, or raise 400."""
    for name in body:
        if name not in names:
            message = f"Unknown field {name}; the fields are {', '.join(sorted(names))}"
            raise errors.invalid(message, name)
    return body


def fields_of(body: Json, kind: type) -> Json:
    """Return the body if it names only fields of the class, or raise 400."""
    return only(body, *({field.name for field in fields(kind)} - {"id", "hits", "used"}))


def scope_of(world: World, kind: str, object_id: str) -> Scope:
    """Return the scope of the account that has an object, or raise 404."""
    account = world.owner_of(kind, object_id)
    if account is None:
        raise errors.missing(kind, object_id, "id")
    return world.scope(account.id)


def charge_of(world: World, body: Json) -> tuple[Scope, Json]:
    """Return the succeeded charge a body names by `charge` or `payment_intent`."""
    charge_id = body.get("charge")
    if charge_id is None:
        intent_id = str(body.get("payment_intent"))
        scope = scope_of(world, "payment_intent", intent_id)
        charge_id = scope.get("payment_intent", intent_id)["latest_charge"]
    scope = scope_of(world, "charge", str(charge_id))
    charge = scope.get("charge", charge_id)
    if charge["status"] != "succeeded":
        raise errors.impossible("Name a charge that succeeded.")
    return scope, charge
