"""Problem documents (RFC 9457) for every error, built in this one place.

`detail` says what to do next, `code` is stable for programs, `request_id` finds the log line. A
value that the caller sent is never repeated, because it could be a card number.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, jsonify
from pydantic import BaseModel, Field, ValidationError
from pydantic.json_schema import SkipJsonSchema
from werkzeug.exceptions import HTTPException

from api.models import Output
from shared.errors import BillingError, Unavailable
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
# Most errors of one answer: a person corrects no more at a time.
MOST_ERRORS = 20
Responses = dict[str | int, type[BaseModel] | dict[Any, Any] | None]
CODES = {
    400: ("bad_request", "The request could not be read; check its syntax."),
    404: ("route_not_found", "No route has this path; /docs lists all routes."),
    405: ("method_not_allowed", "This path takes other methods; the Allow header lists them."),
    413: ("body_too_large", "Send a smaller body."),
    415: ("unsupported_media_type", "Send JSON with Content-Type: application/json."),
}


class FieldError(Output):
    """A field of a request, and what is wrong with it."""

    param: str
    message: str


class Problem(Output):
    """A problem document; what does not apply to an error is left out."""

    type: str = Field(description="A URN that ends in the code.")
    title: str = Field(description="The name of the HTTP status.")
    status: int
    detail: str = Field(description="What to do next.")
    code: str = Field(description="Stable code of the error, for programs.")
    request_id: str = Field(description="Id of the request in the log.")
    param: str | SkipJsonSchema[None] = Field(None, description="The field that is wrong.")
    errors: list[FieldError] | SkipJsonSchema[None] = Field(
        None, description="Every field that is wrong."
    )
    decline_code: str | SkipJsonSchema[None] = Field(
        None, description="Stripe's reason for a decline."
    )
    advice_code: str | SkipJsonSchema[None] = Field(
        None, description="Stripe's advice after a decline."
    )
    payment_intent_id: str | SkipJsonSchema[None] = None
    payment_status: str | SkipJsonSchema[None] = Field(None, description="Stripe's status.")
    charge_id: str | SkipJsonSchema[None] = None
    amount_received: int | SkipJsonSchema[None] = Field(None, description="Amount captured.")
    currency: str | SkipJsonSchema[None] = None
    account: str | SkipJsonSchema[None] = Field(None, description="The connected account, if any.")
    stripe_request_id: str | SkipJsonSchema[None] = Field(
        None, description="Stripe's id of its refusal, for Stripe's support."
    )
    state: str | SkipJsonSchema[None] = Field(None, description="State of an item or a batch.")
    left_out: dict[str, int] | SkipJsonSchema[None] = Field(
        None, description="Payments that a batch would leave out, by reason."
    )


def problem(status: int, code: str, detail: str, **fields: Any) -> Response:
    """Build a problem response; the fields are members of `Problem`."""
    g.result = code
    response = jsonify(document(status, code, detail, g.get("request_id", ""), **fields))
    response.status_code = status
    response.mimetype = MEDIA_TYPE
    return response


def document(status: int, code: str, detail: str, request_id: str, **fields: Any) -> dict[str, Any]:
    """Build a problem document by its model; the fields are members of `Problem`."""
    body = Problem(
        type=f"urn:billing-service:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        request_id=request_id,
        **fields,
    )
    return body.model_dump(mode="json", exclude_unset=True)


def whole_seconds(seconds: float) -> str:
    """Render a Retry-After header."""
    return str(max(1, math.ceil(seconds)))


def retry_seconds(error: BillingError) -> float | None:
    """Return the seconds after which a repeat may succeed; None if a repeat cannot help."""
    if isinstance(error, Unavailable):
        return error.retry_after_seconds or 5
    return error.retry_after_seconds


def from_error(error: BillingError) -> Response:
    """Build the response of an error."""
    response = problem(error.status, error.code, error.detail, **error.fields)
    seconds = retry_seconds(error)
    if seconds is not None:
        response.headers["Retry-After"] = whole_seconds(seconds)
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def from_validation(error: ValidationError) -> Response:
    """Name every field that is wrong, and never its value."""
    failures = error.errors(include_input=False, include_url=False, include_context=False)
    errors = [
        FieldError(
            param=".".join(str(part) for part in item["loc"]) or "body",
            message=item["msg"].removeprefix("Value error, "),
        )
        for item in failures[:MOST_ERRORS]
    ]
    first = errors[0]
    return problem(
        422,
        "invalid_parameter",
        f"{first.param}: {first.message}",
        param=first.param,
        errors=errors,
    )


def documented(*statuses: int) -> Responses:
    """Document that a route answers these statuses with a problem."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def install(app: Flask) -> None:
    """Make every failure of the application a problem document."""

    @app.errorhandler(BillingError)
    def billing_error(error: BillingError) -> Response:
        level = log.error if error.status == HTTPStatus.INTERNAL_SERVER_ERROR else log.info
        level("request_refused", code=error.code, status=error.status, detail=error.detail)
        return from_error(error)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        code, detail = CODES.get(status, ("http_error", error.description or error.name))
        response = problem(status, code, detail)
        for name, value in error.get_headers():
            if name in ("Allow", "WWW-Authenticate"):
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def defect(error: Exception) -> Response:
        log.error("request_failed", error=type(error).__name__, exc_info=error)
        return problem(
            500,
            "internal_error",
            "The service failed. Report the request_id; a retry is safe.",
        )
