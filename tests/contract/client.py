"""Call the API by plain HTTP, where an SDK would hide details that a test checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import requests

T = TypeVar("T")
# Seconds between two reads of an object that changes by itself.


@dataclass(frozen=True)
class Answer:
    """The status, decoded body and headers of one answer."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def error(self) -> dict[str, Any]:
        """The error object; fails the test when the answer is none."""
        assert "error" in self.body, f"expected an error, got {self.status}: {self.body}"
        result: dict[str, Any] = self.body["error"]
        return result


class Api:
    """Sends forms unchanged: `{"a[b]": 1}` is sent as `a[b]=1`."""

    def __init__(self, base_url: str, key: str | None, version: str | None = None) -> None:
        self.base_url = base_url
        self._session = requests.Session()
        # No netrc and no proxy of this machine may affect calls to loopback.
        self._session.trust_env = False
        if key:
            self._session.headers["Authorization"] = f"Bearer {key}"
        if version:
            self._session.headers["Stripe-Version"] = version

    def acting_for(self, account: str) -> Api:
        """Return a client with the same key for a connected account."""
        other = Api(self.base_url, None)
        other._session.headers.update(self._session.headers)
        other._session.headers["Stripe-Account"] = account
        return other

    def get(self, path: str, params: Any = None, **headers: str) -> Answer:
        """Send a GET with a query string."""
        return self._answer("GET", path, headers, params=params)

    def delete(self, path: str, **headers: str) -> Answer:
        """Send a DELETE without a body."""
        return self._answer("DELETE", path, headers)

    def post(self, path: str, form: Any = None, **headers: str) -> Answer:
        """Send a form by POST; header names are given with `_` for `-`."""
        return self._answer("POST", path, headers, data=form)

    def make(self, path: str, form: Any = None, **headers: str) -> dict[str, Any]:
        """Send a POST that has to succeed; return the object."""
        answer = self.post(path, form, **headers)
        assert answer.status == 200, f"{path}: {answer.status} {answer.body}"
        result: dict[str, Any] = answer.body
        return result

    def find(self, path: str, params: Any = None) -> dict[str, Any]:
        """Send a GET for an object that has to exist; return the object."""
        answer = self.get(path, params)
        assert answer.status == 200, f"{path}: {answer.status} {answer.body}"
        result: dict[str, Any] = answer.body
        return result

    def _answer(self, method: str, path: str, headers: dict[str, str], **what: Any) -> Answer:
        by_name = {name.replace("_", "-"): value for name, value in headers.items()}
        got = self._session.request(
            method, self.base_url + path, headers=by_name, timeout=30, **what
        )
        return Answer(got.status_code, got.json(), got.headers)
