"""Answers that the front gives without the application, in the same form as the application's."""

from __future__ import annotations

import json

from api.messages import Answer
from api.problems import MEDIA_TYPE, document, retry_seconds, whole_seconds
from api.request_context import Identity
from shared.errors import BillingError
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
MISTAKE = "The service failed. Report the request_id; a retry is safe."


def problem_answer(identity: Identity, error: BillingError) -> Answer:
    """Build the problem document of an error."""
    body = document(error.status, error.code, error.detail, identity.request_id, **error.fields)
    answer = identity.answer(json.dumps(body).encode(), error.status, MEDIA_TYPE)
    seconds = retry_seconds(error)
    if seconds is not None:
        answer.headers.append(("Retry-After", whole_seconds(seconds)))
    return answer


def mistake(defect: Exception) -> BillingError:
    """Log a defect, and give the error to answer with."""
    log.error("request_failed", error=type(defect).__name__, exc_info=defect)
    return BillingError(MISTAKE)
