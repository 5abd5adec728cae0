"""Carry out a request at most once, by its `Idempotency-Key`."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, g, jsonify, request

from api.idempotency import IdempotentRequest, KeptAnswer, idempotent_request
from api.models import KeyHeader, MoneyHeaders
from api.parts import parts
from api.problems import MEDIA_TYPE, from_error
from shared.errors import BillingError, PaymentDeclined, Unavailable
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
FIRST_FAILURE_STATUS = 400
Act = Callable[[IdempotentRequest], KeptAnswer]


def idempotently(header: KeyHeader, body: dict[str, object], act: Act) -> Response:
    """Answer the request, or repeat the answer that was given before for its key.

    An answer is stored when it is final: success, or a decline. After a refusal or an outage the
    same key may be used again at once; Stripe repeats its result for the key.
    """
    account = header.stripe_account if isinstance(header, MoneyHeaders) else None
    scope = f"{g.caller}:{request.path}:{account or ''}"
    keyed_request = idempotent_request(scope, header.idempotency_key, body)
    keys = parts().idempotency
    try:
        earlier = keys.begin(keyed_request)
        response = _shape(earlier, replayed=True) if earlier else _shape(_act(keyed_request, act))
    except BillingError as error:
        response = from_error(error)
    response.headers["Idempotency-Key"] = keyed_request.key
    return response


def _act(keyed_request: IdempotentRequest, act: Act) -> KeptAnswer:
    keys = parts().idempotency
    try:
        answer = act(keyed_request)
    except PaymentDeclined as error:
        answer = KeptAnswer(error.status, from_error(error).get_json())
    except BillingError:
        keys.conclude(keyed_request, None)
        raise
    try:
        keys.conclude(keyed_request, answer)
    except Unavailable:
        # The money moved, so the caller must get the answer; for a repeat Stripe gives the same.
        log.warning("answer_not_kept", status=answer.status)
    return answer


def _shape(answer: KeptAnswer, *, replayed: bool = False) -> Response:
    response = jsonify(answer.body)
    response.status_code = answer.status
    if answer.status >= FIRST_FAILURE_STATUS:
        response.mimetype = MEDIA_TYPE
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response
