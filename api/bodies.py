"""Rules for a body: a JSON object within limits, valid Unicode, no card data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import current_app, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import RequestEntityTooLarge

from shared.card_numbers import holds_card_number
from shared.errors import CallerError

Json = dict[str, Any]
CARD_FIELDS = frozenset({"card", "card_number", "cvc", "cvv", "number", "pan"})
# A card's code is three or four digits like any others: only the field's name shows what it is.
CODE_FIELDS = frozenset({"cvc", "cvv", "cvc2", "cvv2", "csc", "cvn", "security_code"})
# Routes whose requests need no body.
BODY_OPTIONAL = (
    "payment.cancel",
    *(f"refund_batch.{verb}" for verb in ("pause", "resume", "cancel", "retry")),
)
KEPT_HEADERS = ("Idempotency-Key", "Stripe-Account")
NOT_JSON = "The body is not a JSON object."
# Bytes. Fifty metadata values of 500 characters, all as escapes, are 300 KB; in UTF-8 a third.
MOST_BYTES = 393_216
# Metadata in a body is two levels deep; no request of this API needs more than ten.
DEEPEST = 10
# Values in a body: a thousand ids to redrive, or fifty pairs of metadata, and some fields.
MOST_VALUES = 1_200
# A batch of refunds names ten thousand payments, and little else.
MANY_VALUES = {"refund_batch.start": 10_200}
# Characters. The longest text of a field is a URL of 2,048; the search for card numbers in a text
# takes more than linear time.
LONGEST_TEXT = 4_096


class StrictJson(DefaultJSONProvider):
    """Read JSON with one meaning: in UTF-8, no name twice in an object, no NaN, no Infinity."""

    def loads(self, s: str | bytes, **options: Any) -> Any:
        """Parse JSON. Raises `CallerError` for a name used twice, `ValueError` for other text."""
        # Of bytes, `json.loads` would guess UTF-16 or UTF-32, which nothing else here can read.
        text = s.decode("utf-8-sig") if isinstance(s, bytes) else s
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number, **options)


def _object(pairs: list[tuple[str, Any]]) -> Json:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise CallerError("One JSON object has the same name twice.", code="invalid_json")
    return fields


def _no_number(_: str) -> float:
    raise ValueError("NaN and Infinity are no JSON")


def raw_body(*, cache: bool = True) -> bytes:
    """Read the whole body. Raises 413, also for a body in chunks without a length."""
    data = request.get_data(cache=cache)
    limit = current_app.config["MAX_CONTENT_LENGTH"]
    # Werkzeug stops at the limit, and then it is unknown whether the body was longer.
    if request.content_length is None and len(data) >= limit:
        raise RequestEntityTooLarge
    return data


def require_clean_json() -> None:
    """Refuse a request that carries card data or has two meanings, and a POST without JSON object.

    Raises `CallerError`: 422 for a parameter of the query that comes twice, or comes with a POST,
    whose parameters are in its body; 415 for another media type; 400 for a body that is no JSON
    object or no valid Unicode; 400 `raw_card_data_refused` for a request with a card number in any
    place.
    """
    if place := _card_data_beside_body():
        raise _card_refusal(place)
    _require_each_once()
    _require_no_query_of_a_post()
    if request.method != "POST" or (request.endpoint in BODY_OPTIONAL and not raw_body()):
        return
    if request.mimetype != "application/json":
        raise CallerError(
            "Send JSON with Content-Type: application/json.",
            status=415,
            code="unsupported_media_type",
        )
    _require_plain_bytes()
    text = raw_body().decode(errors="replace")
    if len(text) > MOST_BYTES:
        raise RequestEntityTooLarge
    body = _parse(text)
    _require_modest(body)
    if where := _place_of_card_data(body, text):
        raise _card_refusal(where)


def _require_plain_bytes() -> None:
    """Refuse a compressed body, which the service does not unpack, by its name."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise CallerError(
            "Send the body as it is, without Content-Encoding.",
            status=415,
            code="unsupported_media_type",
        )


def _require_each_once() -> None:
    """Refuse a parameter that the query has twice: one of them would be ignored.

    And one that is no UTF-8: what cannot be read would be replaced, and something else searched.
    """
    try:
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError as error:
        raise CallerError("The query is not in UTF-8.", code="invalid_parameter") from error
    for name, values in request.args.lists():
        if len(values) > 1:
            raise CallerError(
                f"{name}: Send this parameter once.",
                status=422,
                code="invalid_parameter",
                param=name,
            )


def _require_no_query_of_a_post() -> None:
    """Refuse a query that would be ignored: `?dry_run=true` must not start a batch."""
    if request.method == "POST" and request.args:
        name = next(iter(request.args))
        raise CallerError(
            f"{name}: Send this parameter in the body.",
            status=422,
            code="invalid_parameter",
            param=name,
        )


def _parse(text: str) -> Json:
    try:
        body = request.get_json(silent=True)
    except RecursionError as error:
        raise CallerError("The body is nested too deeply.", code="invalid_json") from error
    except CallerError as error:
        if holds_card_number(text):
            raise _card_refusal("body") from error
        raise
    if not isinstance(body, dict):
        raise CallerError(NOT_JSON, code="invalid_json")
    return body


def _card_refusal(place: str) -> CallerError:
    return CallerError(
        "Never send card data here. Make a PaymentMethod with Stripe and send its pm_… id.",
        code="raw_card_data_refused",
        param=place,
    )


def _require_modest(body: Json) -> None:
    """Refuse a body that is too deep or has too many or too long values, before any other check."""
    most_values = MANY_VALUES.get(request.endpoint or "", MOST_VALUES)
    for number, (depth, value, path) in enumerate(_values(body, 1, "")):
        if depth > DEEPEST:
            raise CallerError("The body is nested too deeply.", code="invalid_json")
        if number > most_values:
            raise CallerError("The body has too many values.", code="invalid_json")
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            place = "body" if holds_card_number(path) else path
            raise CallerError(
                f"{place}: This text is too long.",
                status=422,
                code="invalid_parameter",
                param=place,
            )


def _values(value: Any, depth: int, path: str) -> Iterator[tuple[int, Any, str]]:
    """Yield every value inside a value, the names of members included."""
    yield depth, value, path
    if isinstance(value, dict):
        for name, member in value.items():
            yield depth, name, path or "body"
            yield from _values(member, depth + 1, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for member in value:
            yield from _values(member, depth + 1, path)


def _card_data_beside_body() -> str | None:
    """Name the part of the path, the query or the stored headers that has a card number."""
    texts = {"path": request.path, "query": request.query_string.decode(errors="replace")}
    texts |= {name: request.headers.get(name, "") for name in KEPT_HEADERS}
    texts |= {f"query.{name}": value for name, value in request.args.items()}
    return next((place for place, text in texts.items() if holds_card_number(text)), None)


def _place_of_card_data(body: Json, text: str) -> str | None:
    """Name the first place with card data; the raw text may have values that parsing dropped."""
    return _card_data(body) or ("body" if holds_card_number(text) else None)


def _card_data(value: Any, path: str = "") -> str | None:
    if isinstance(value, dict):
        return next(filter(None, (_member(*member, path) for member in value.items())), None)
    if isinstance(value, list):
        return next(filter(None, (_card_data(item, path) for item in value)), None)
    if isinstance(value, str):
        _require_unicode(value, path)
    if isinstance(value, (str, int, float)) and holds_card_number(str(value)):
        return path
    return None


def _member(name: str, value: Any, path: str) -> str | None:
    """Check a name and its value; a name that is itself card data is not repeated."""
    _require_unicode(name, path or "body")
    if holds_card_number(name):
        return path or "body"
    here = f"{path}.{name}" if path else name
    if name.lower() in CODE_FIELDS or (name in CARD_FIELDS and not path.startswith("metadata")):
        return here
    return _card_data(value, here)


def _require_unicode(text: str, path: str) -> None:
    """Refuse half of a surrogate pair: JSON can write it, but it is no valid Unicode."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CallerError(
            "This is no valid Unicode: it has half of a surrogate pair.",
            code="invalid_json",
            param=path,
        ) from error
