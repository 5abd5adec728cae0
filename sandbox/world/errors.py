"""Stripe's errors: one exception type, and one function for each kind of refusal."""

import re
from typing import Any, Final

from sandbox.world.luhn import is_luhn_valid

DIGIT_RUN: Final = re.compile(r"(?<!\w)\d{13,19}(?!\w)")
VISIBLE_DIGITS: Final = 4


class StripeError(Exception):
    """An answer with an error object.

    `executed` says whether the endpoint had begun to act: only then does Stripe store the answer
    for its idempotency key (validation errors are not stored).
    """

    def __init__(self, status: int, error: dict[str, Any], *, executed: bool = False) -> None:
        super().__init__(error.get("message"))
        self.status = status
        self.executed = executed
        self.error = {key: value for key, value in error.items() if value is not None}
        self.error["message"] = without_card_numbers(str(error.get("message", "")))
        if "code" in self.error:
            slug = str(self.error["code"]).replace("_", "-")
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{slug}"


def without_card_numbers(text: str) -> str:
    """Return the text with everything that could be a card number cut to its last four digits."""

    def mask(match: re.Match[str]) -> str:
        digits = match.group()
        if not is_luhn_valid(digits):
            return digits
        return "*" * (len(digits) - VISIBLE_DIGITS) + digits[-VISIBLE_DIGITS:]

    return DIGIT_RUN.sub(mask, text)


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """Return the 400 for invalid parameters, which is not stored for the idempotency key."""
    error = {"type": "invalid_request_error", "code": code, "param": param, "message": message}
    return StripeError(400, error)


def impossible(message: str, code: str | None = None, **more: Any) -> StripeError:
    """Return the 400 for a request that the object's state forbids; it is stored for the key."""
    error = {"type": "invalid_request_error", "code": code, "message": message, **more}
    return StripeError(400, error, executed=True)


def missing(name: str, object_id: object, param: str, status: int = 404) -> StripeError:
    """Return the error for an object that does not exist."""
    error = {
        "type": "invalid_request_error",
        "code": "resource_missing",
        "param": param,
        "message": f"No such {name}: '{object_id}'",
    }
    return StripeError(status, error, executed=True)


def unknown_url(method: str, path: str) -> StripeError:
    """Return the error for an unknown route."""
    message = (
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we "
        "can help at https://support.stripe.com/."
    )
    return StripeError(404, {"type": "invalid_request_error", "message": message})


def route_not_simulated(method: str, path: str) -> StripeError:
    """Return the error for a route of Stripe that the sandbox does not simulate."""
    message = (
        f"Unrecognized request URL ({method}: {path}). Stripe has it; it is not simulated by this "
        "sandbox."
    )
    error = {"type": "invalid_request_error", "code": "route_not_simulated", "message": message}
    return StripeError(404, error)


def invalid_key_error(message: str, code: str | None = None) -> StripeError:
    """Return the 401 for an invalid API key."""
    error = {"type": "invalid_request_error", "code": code, "message": message}
    return StripeError(401, error)


def card_error(code: str, message: str, **more: Any) -> StripeError:
    """Return the 402 for a declined card; it is stored for the key."""
    error = {"type": "card_error", "code": code, "message": message, **more}
    return StripeError(402, error, executed=True)


def api_error(message: str, status: int = 500) -> StripeError:
    """Return the error for a failure of Stripe."""
    return StripeError(status, {"type": "api_error", "message": message})
