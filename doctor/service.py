"""Calls of the doctor to the running service, over HTTP, with an operator's key."""

from __future__ import annotations

from typing import Any

import requests

from shared.errors import BillingError, CallerError, Unavailable
from shared.printable import without_password

Json = dict[str, Any]
# Seconds to connect, and for each read: `/ops` answers from Redis in milliseconds.
TIMEOUT_SECONDS = (3.0, 15.0)


class Service:
    """Call one running API."""

    def __init__(self, url: str, operator_key: str | None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {operator_key}"} if operator_key else {}

    def get(self, path: str) -> Json:
        """Send a GET to a route of `/ops`. Raises `Unavailable` and `CallerError`."""
        return self._ask("GET", path)

    def post(self, path: str, body: Json) -> Json:
        """Send a POST to a route of `/ops`. Raises `Unavailable` and `CallerError`."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = send(method, f"{self.url}/ops{path}", headers=self._headers, json=body)
        try:
            parsed: Json = answer.json()
        except ValueError as error:
            raise Unavailable(
                f"the server at {without_password(self.url)} is not this service",
                code="not_the_service",
            ) from error
        if not answer.ok:
            raise _refusal(answer, parsed)
        return parsed


def send(method: str, url: str, **options: Any) -> requests.Response:
    """Send one request and follow no redirect. Raises `Unavailable` without an answer."""
    try:
        return requests.request(
            method, url, timeout=TIMEOUT_SECONDS, allow_redirects=False, **options
        )
    except requests.RequestException as error:
        raise Unavailable(
            f"{without_password(url)} does not answer ({type(error).__name__})",
            code="no_answer",
        ) from error


def _refusal(answer: requests.Response, problem: Json) -> BillingError:
    detail = str(problem.get("detail", answer.reason))
    return CallerError(detail, status=answer.status_code, code=str(problem.get("code", "refused")))
