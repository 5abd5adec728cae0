"""What payments and refunds have in common: who may ask, what is refused, what is documented."""

from __future__ import annotations

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.access import BEARER, require_caller
from api.bodies import require_clean_json
from api.models import AccountHeader
from api.parts import parts
from api.problems import documented
from shared.errors import Unavailable

ALWAYS = documented(401, 403, 422, 500, 503)
ON_POST = documented(400, 413, 415) | ALWAYS


def account_of(payment_id: str, header: AccountHeader) -> str | None:
    """Name the connected account of a payment: as the caller says, or as we know of it."""
    if header.stripe_account:
        return header.stripe_account
    try:
        return parts().payments.account_of(payment_id)
    except Unavailable:
        return None


def money_blueprint(name: str) -> APIBlueprint:
    """Give the blueprint of `/api/<name>`, guarded by a caller's key and against card data."""
    blueprint = APIBlueprint(
        name,
        __name__,
        url_prefix=f"/api/{name}",
        abp_tags=[Tag(name=f"{name}s")],
        abp_security=BEARER,
    )
    blueprint.before_request(require_caller)
    blueprint.before_request(require_clean_json)
    return blueprint
