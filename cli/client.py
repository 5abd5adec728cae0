"""Ask the service's `/ops`, as an operator: with a key, and in words a person can act on.

The command line goes through the API rather than to Redis: it needs one URL and one key instead of
the store's password, works from any machine, and whatever it does is authorised and audited in one
place.
"""

from __future__ import annotations

import getpass
import os
from typing import Any

import requests

from shared.bearer_keys import first_secret
from shared.settings import env_file_variables

Json = dict[str, Any]
TIMEOUT_SECONDS = (3.0, 60.0)
DEFAULT_PORT = "5001"
# Exit statuses: the service refused; it could not be asked.
REFUSED, UNREACHABLE = 1, 2


class Failed(Exception):
    """The service did not do it; carries what to tell the person and the exit status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Client:
    """Call one service."""

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        variables = env_file_variables() | dict(os.environ)
        port = variables.get("PORT") or DEFAULT_PORT
        self.url = (url or f"http://127.0.0.1:{port}").rstrip("/")
        secret = first_secret(key or variables.get("OPERATOR_KEYS", ""))
        self._session = requests.Session()
        if secret:
            self._session.headers["Authorization"] = f"Bearer {secret}"

    def get(self, path: str, **query: Any) -> Json:
        """Read; leaves out what was not given. Raises `Failed`."""
        return self._call("GET", path, params={k: v for k, v in query.items() if v is not None})

    def post(self, path: str, reason: str = "", **body: Any) -> Json:
        """Have something done, in the name of whoever is logged in. Raises `Failed`."""
        said = {"by": getpass.getuser(), "reason": reason}
        return self._call(
            "POST", path, json=said | {k: v for k, v in body.items() if v is not None}
        )

    def _call(self, method: str, path: str, **options: Any) -> Json:
        try:
            answer = self._session.request(
                method, f"{self.url}/ops{path}", timeout=TIMEOUT_SECONDS, **options
            )
            body: Json = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise Failed(
                f"No answer from the service at {self.url} ({type(error).__name__}). Is it "
                "running? Set --url or BILLING_URL; ./billing doctor looks for the cause.",
                UNREACHABLE,
            ) from error
        if not answer.ok:
            detail = f"{body.get('detail', answer.reason)} ({body.get('code', answer.status_code)})"
            raise Failed(detail, REFUSED)
        return body
