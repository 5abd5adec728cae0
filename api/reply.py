"""Build the response of an answer's model."""

from __future__ import annotations

from flask import Response, jsonify

from api.models import Output


def reply(answer: Output, status: int = 200) -> Response:
    """Render an answer as JSON; its model allows only the fields of the contract."""
    response = jsonify(answer.model_dump(mode="json"))
    response.status_code = status
    return response
