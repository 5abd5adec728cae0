"""Bearer keys and their owners: `name:key` names a caller or an operator; a bare key has none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool, StringConstraints

# All bare keys belong to one caller, so that one key can replace another between a request and its
# repetition.
UNNAMED = "unnamed"
ENTRY = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,39}):(.+)", re.DOTALL)
# Stands for our own account in a list of accounts: a request without `Stripe-Account`.
OWN_ACCOUNT = "own"


ACCOUNT = r"^(own|acct_[A-Za-z0-9]{1,120})$"
CURRENCY = r"^[A-Za-z]{3}$"
Currency = Annotated[str, StringConstraints(to_lower=True, pattern=CURRENCY)]
# Whole smallest units; Lua holds this amount exactly (2**53).
Ceiling = Annotated[int, Field(strict=True, ge=0, le=9_007_199_254_740_992)]


@dataclass(frozen=True)
class BearerKey:
    """A key and the name of its owner."""

    owner: str
    secret: str = field(repr=False)


class CallerLimits(BaseModel):
    """The limits of one caller; a field that is left out sets no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    accounts: frozenset[Annotated[str, Field(pattern=ACCOUNT)]] | None = Field(
        None, description="Accounts it may name in `Stripe-Account`; `own` stands for no account."
    )
    refunds_per_hour: dict[Currency, Ceiling] | None = Field(
        None,
        description="Amount it may refund within an hour, by currency; other currencies are "
        "refused.",
    )
    read_only: StrictBool = Field(False, description="It may only read payments and refunds.")


def bearer_keys(entries: Iterable[SecretStr]) -> Iterator[BearerKey]:
    """Read the entries of a setting; the text up to the first colon is a name if it can be one."""
    for entry in entries:
        text = entry.get_secret_value()
        match = ENTRY.fullmatch(text)
        yield BearerKey(match[1], match[2]) if match else BearerKey(UNNAMED, text)


def unknown_callers(limits: Iterable[str], entries: Iterable[SecretStr]) -> list[str]:
    """List callers that have limits but no key: the limits would have no effect."""
    callers = {key.owner for key in bearer_keys(entries)}
    unknown = sorted(set(limits) - callers) if callers else []
    return [f"CALLER_LIMITS is not valid: API_KEYS names no caller {name}" for name in unknown]


def first_secret(setting: str) -> str | None:
    """Return the key of the first entry of a setting as it is written; None when there is none."""
    first = setting.partition(",")[0].strip()
    return next(bearer_keys([SecretStr(first)])).secret if first else None
