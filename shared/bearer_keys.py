"""Bearer keys and whose they are: `name:key` names a caller or an operator, a bare key nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field, SecretStr

# All bare keys are one caller: which of them was shown tells nothing, so that one can replace
# another between a request and its repetition.
UNNAMED = "unnamed"
ENTRY = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,39}):(.+)", re.DOTALL)
# Stands for our own account in a list of accounts: a request without `Stripe-Account`.
OWN_ACCOUNT = "own"


@dataclass(frozen=True)
class BearerKey:
    """A key and the name of its owner."""

    owner: str
    secret: str = field(repr=False)


class CallerLimits(BaseModel):
    """What one caller may do; what is left out is not limited."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    accounts: frozenset[str] | None = Field(
        None, description="Accounts it may name in `Stripe-Account`; `own`: none named."
    )
    refunds_per_hour: dict[str, int] | None = Field(
        None, description="Amount it may refund within an hour, by currency; others are refused."
    )
    read_only: bool = Field(False, description="It may look at payments and refunds only.")


def bearer_keys(entries: Iterable[SecretStr]) -> Iterator[BearerKey]:
    """Read the entries of a setting; the text up to the first colon is a name if it can be one."""
    for entry in entries:
        text = entry.get_secret_value()
        named = ENTRY.fullmatch(text)
        yield BearerKey(named[1], named[2]) if named else BearerKey(UNNAMED, text)


def unknown_callers(limits: Iterable[str], entries: Iterable[SecretStr]) -> list[str]:
    """List limits of callers that have no key: they would be taken for ones that hold."""
    callers = {key.owner for key in bearer_keys(entries)}
    unknown = sorted(set(limits) - callers) if callers else []
    return [f"CALLER_LIMITS is not valid: API_KEYS names no caller {name}" for name in unknown]


def first_secret(setting: str) -> str | None:
    """Give the key of the first entry of a setting as it is written; None when there is none."""
    first = setting.partition(",")[0].strip()
    return next(bearer_keys([SecretStr(first)])).secret if first else None
