"""Accounts: the platform's own, to which every key belongs, and those connected to it.

Naming an account in `Stripe-Account` connects it, without an onboarding. All accounts can take
payments at once.
"""

from typing import Final

from sandbox.wire import lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids
from sandbox.world.objects import Json
from sandbox.world.world import PLATFORM, Scope, World

CONTROLLERS: Final = {
    "standard": ("account", "stripe", "stripe", "full"),
    "express": ("application_express", "application", "stripe", "express"),
    "custom": ("application_custom", "application", "application", "none"),
}
"""Who pays fees, who bears losses, who asks for documents, and which dashboard there is."""
PROFILE: Final = (
    "annual_revenue",
    "estimated_worker_count",
    "mcc",
    "minority_owned_business_designation",
    "name",
    "product_description",
    "support_address",
    "support_email",
    "support_phone",
    "support_url",
    "url",
)
LISTS_OF_REQUIREMENTS: Final = (
    "alternatives",
    "currently_due",
    "errors",
    "eventually_due",
    "past_due",
    "pending_verification",
)


def connect(world: World, header: str | None) -> str:
    """Return the account of a call, and connect it if it is new. Raises Stripe's 403."""
    platform = world.scope()
    if not header or header == PLATFORM:
        return PLATFORM
    well_formed = header.startswith("acct_") and header.removeprefix("acct_").isalnum()
    if not well_formed or platform.note(header).get("deleted"):
        raise _unknown(header)
    if platform.find("account", header) is None:
        platform.put("account", _account(platform, header, {}))
    return header


def _unknown(account_id: str) -> errors.StripeError:
    message = (
        f"The provided key does not have access to account '{account_id}' (or that account does "
        "not exist). Application access may have been revoked."
    )
    error = {"type": "invalid_request_error", "code": "account_invalid", "message": message}
    return errors.StripeError(403, error)


def refuse_others(scope: Scope, inputs: Json, prefix: str = "") -> None:
    """Refuse parameters about another account: unknown ones as Stripe does, others by name."""
    transfer = inputs.get("transfer_data")
    accounts = {"on_behalf_of": inputs.get("on_behalf_of")}
    if transfer is not None:
        destination = transfer.get("destination") if isinstance(transfer, dict) else transfer
        accounts["transfer_data[destination]"] = destination
    for name, account_id in accounts.items():
        head, bracket, tail = name.partition("[")
        full = f"{prefix}[{head}]{bracket}{tail}" if prefix else name
        if not account_id:
            continue
        if scope.world.scope().find("account", account_id) is None:
            raise errors.missing("destination", account_id, full, 400)
        raise params.not_simulated_error(full)
    if transfer is not None:
        raise params.not_simulated_error(f"{prefix}[transfer_data]" if prefix else "transfer_data")


def _account(scope: Scope, account_id: str, inputs: Json) -> Json:
    kind = inputs.get("type", "standard")
    return {
        "id": account_id,
        "object": "account",
        "business_profile": dict.fromkeys(PROFILE),
        "business_type": inputs.get("business_type"),
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": _controller(kind),
        "country": inputs.get("country", "US"),
        "created": scope.now,
        "default_currency": inputs.get("default_currency", "usd"),
        "details_submitted": True,
        "email": inputs.get("email"),
        "external_accounts": lists.envelope(f"/v1/accounts/{account_id}/external_accounts", []),
        "future_requirements": _requirements(),
        "groups": None,
        "metadata": inputs.get("metadata") or {},
        "payouts_enabled": True,
        "requirements": _requirements(),
        "settings": _settings(),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": kind,
    }


def _controller(kind: str) -> Json:
    fees, losses, requirements, dashboard = CONTROLLERS[kind]
    return {
        "fees": {"payer": fees},
        "is_controller": True,
        "losses": {"payments": losses},
        "requirement_collection": requirements,
        "stripe_dashboard": {"type": dashboard},
        "type": "application",
    }


def _requirements() -> Json:
    nothing: Json = {name: [] for name in LISTS_OF_REQUIREMENTS}
    return {**nothing, "current_deadline": None, "disabled_reason": None}


def _settings() -> Json:
    statement = ("statement_descriptor", "statement_descriptor_kana", "statement_descriptor_kanji")
    prefix = tuple(name.replace("descriptor", "descriptor_prefix") for name in statement)
    return {
        "branding": dict.fromkeys(("icon", "logo", "primary_color", "secondary_color")),
        "card_payments": dict.fromkeys(prefix),
        "dashboard": {"display_name": "Offline sandbox", "timezone": "Etc/UTC"},
        "payments": dict.fromkeys(statement),
    }


def _create(call: Call) -> Json:
    record = _account(call.scope, ids.new_id("account"), call.params)
    return call.scope.put("account", record)


def _list(call: Call) -> Json:
    return lists.page(call, "account")


def _own(call: Call) -> Json:
    return _known_or_new(call.scope.world, call.scope.account.id)


def _retrieve(call: Call) -> Json:
    account_id = call.ids[0]
    if account_id != call.scope.account.id and call.scope.find("account", account_id) is None:
        raise _unknown(account_id)
    return _known_or_new(call.scope.world, account_id)


def _known_or_new(world: World, account_id: str) -> Json:
    platform = world.scope()
    return platform.find("account", account_id) or _account(platform, account_id, {})


def _delete(call: Call) -> Json:
    record = call.scope.find("account", call.ids[0])
    if record is None:
        raise _unknown(call.ids[0])
    call.scope.account.remove("account", record["id"])
    call.scope.note(record["id"])["deleted"] = True
    return {"id": record["id"], "object": "account", "deleted": True}


_PATH: Final = "/v1/accounts"
_BUSINESS_TYPES: Final = ("company", "government_entity", "individual", "non_profit")
_FIELDS: Final[dict[str, params.Parser | params.Required]] = {
    "business_type": params.one_of(*_BUSINESS_TYPES),
    "country": params.text(),
    "default_currency": params.text(),
    "email": params.text(),
    "metadata": params.metadata(),
    "type": params.one_of(*CONTROLLERS),
    **params.not_simulated(
        """
        account_token bank_account business_profile capabilities company controller documents
        external_account groups individual settings tos_acceptance
        """
    ),
}
ROUTES: Final = (
    Route("GET", "/v1/account", _own),
    Route("POST", _PATH, _create, _FIELDS),
    Route("GET", _PATH, _list, lists.params()),
    Route("GET", _PATH + "/{id}", _retrieve),
    Route("DELETE", _PATH + "/{id}", _delete),
)
