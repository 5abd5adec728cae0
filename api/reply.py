"""Send an answer that its model has built and checked."""

from __future__ import annotations

from flask import Response, jsonify

from api.models import Output


def reply(answer: Output, status: int = 200) -> Response:
    """Render an answer as JSON; the model has refused what the contract does not name."""
    response = jsonify(answer.model_dump(mode="json"))
    response.status_code = status
    return response
