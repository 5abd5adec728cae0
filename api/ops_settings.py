"""`GET /ops/settings`: the settings of the API process that answers."""

from __future__ import annotations

from typing import Any

from flask import Response
from pydantic import Field, SecretStr

from api.blueprints import ON_GET
from api.models import Output
from api.ops import ops
from api.parts import parts
from api.reply import reply
from shared.printable import without_password
from shared.settings import Settings
from shared.version import VERSION

SET, NOT_SET = "set", "not set"


class RunningSettings(Output):
    """The settings of the API process that answers, by the names of their variables."""

    version: str
    mode: str = Field(description="Mode of the account: `live` or `test`.")
    settings: dict[str, Any] = Field(
        description="Passwords in URLs are masked. A secret appears only as set or not set, the "
        "Stripe key also by its kind."
    )


@ops.get("/settings", responses={200: RunningSettings, **ON_GET})
def settings() -> Response:
    """Answer with the settings of this API process, without secrets."""
    own = parts().settings
    return reply(RunningSettings(version=VERSION, mode=own.mode, settings=printable(own)))


def printable(own: Settings) -> dict[str, Any]:
    """Return all settings by the names of their variables, without secrets and passwords."""
    return {
        name.upper(): _printable(name, getattr(own, name)) for name in sorted(Settings.model_fields)
    }


def _printable(name: str, value: Any) -> Any:
    if name == "stripe_secret_key":
        return value.get_secret_value()[: len("sk_test")] or NOT_SET
    if isinstance(value, SecretStr) or _holds_secrets(name):
        return SET if value else NOT_SET
    if isinstance(value, str) and "://" in value:
        return without_password(value)
    if isinstance(value, dict):
        return {key: entry.model_dump(mode="json") for key, entry in value.items()}
    return value


def _holds_secrets(name: str) -> bool:
    return "SecretStr" in str(Settings.model_fields[name].annotation)
