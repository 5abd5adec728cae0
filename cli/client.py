"""Call the service with an operator's key, and say what to do when a call fails.

The command line calls the API rather than Redis: it needs one URL and one key instead of the
password of Redis, works from any machine, and the API authorises and audits all that it does.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping
from typing import Any

import requests
from requests.exceptions import InvalidHeader

from shared.bearer_keys import first_secret
from shared.env_file import ENV_FILE, given_file
from shared.hosts import local_url
from shared.printable import printable, without_password

Json = dict[str, Any]
TIMEOUT_SECONDS = (3.0, 60.0)
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", "5001"
# Exit statuses, as the help and docs/command-line.md list them: the service refused; the command
# line itself is wrong; the service did not answer; there was nothing to do, or no confirmation; the
# output could not be written; the reader of the output ended first (128 + SIGPIPE, as for shells).
REFUSED, USAGE, UNREACHABLE, NOTHING_DONE, UNWRITTEN, UNREAD = 1, 2, 3, 4, 5, 141
# The refusals of a batch that has no payment to refund, or none to refund once more.
NO_MATCH = ("nothing_to_refund", "nothing_to_retry")


# An id has no character with a meaning in a path: no slash, dot, question mark or percent sign.
ID = re.compile(r"[\w-]+", re.ASCII)
# The first HTTP status that leaves open whether the request took effect.
SERVER_ERROR = 500


class Failed(Exception):
    """A command that failed; carries the text for the person, and the exit status.

    `is_uncertain` when the request may have taken effect all the same.
    """

    def __init__(self, text: str, status: int, *, is_uncertain: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.is_uncertain = is_uncertain


def in_path(item_id: str) -> str:
    """Return an id as a part of a path. Raises `Failed` for a text that leads to another path."""
    if not ID.fullmatch(item_id):
        raise Failed(f"No item has this id: {printable(item_id)!r}", REFUSED)
    return item_id


class Client:
    """Call one service."""

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        variables = {**given_file(ENV_FILE).variables, **os.environ}
        here = local_url(
            variables.get("HOST") or DEFAULT_HOST, variables.get("PORT") or DEFAULT_PORT
        )
        self.url = (url or here).rstrip("/")
        self.secret = first_secret(key or variables.get("OPERATOR_KEYS", ""))
        self._session = requests.Session()
        if self.secret:
            self._session.headers["Authorization"] = f"Bearer {self.secret}"

    def get(self, path: str, **query: Any) -> Json:
        """Send a GET with the query values that are not None. Raises `Failed`."""
        return self._call("GET", path, params={k: v for k, v in query.items() if v is not None})

    def post(self, path: str, reason: str = "", **body: Any) -> Json:
        """Send a POST in the name of the user who is logged in. Raises `Failed`."""
        signature = {"by": getpass.getuser(), "reason": reason}
        fields = {k: v for k, v in body.items() if v is not None}
        return self._call("POST", path, json=signature | fields)

    def call(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **parameters: Any
    ) -> Json:
        """Call a route outside of `/ops`; the values that are not None are its query or body.

        Raises `Failed`.
        """
        values = {name: value for name, value in parameters.items() if value is not None}
        if method == "GET":
            return self._request(method, path, params=values, headers=headers)
        return self._request(method, path, json=values, headers=headers)

    def _call(self, method: str, path: str, **options: Any) -> Json:
        return self._request(method, f"/ops{path}", **options)

    def _request(self, method: str, path: str, **options: Any) -> Json:
        try:
            answer = self._session.request(
                method, self.url + path, timeout=TIMEOUT_SECONDS, **options
            )
            body: Json = answer.json()
        except (InvalidHeader, UnicodeEncodeError) as error:
            raise Failed(
                "Nothing was sent: an option or the operator's key has a character that HTTP does "
                "not allow there.",
                USAGE,
            ) from error
        except (requests.RequestException, ValueError) as error:
            raise Failed(
                f"The billing API at {printable(without_password(self.url))} does not answer "
                f"({type(error).__name__}). Is it running? Set --url or BILLING_URL; "
                "./billing doctor looks for the cause.",
                UNREACHABLE,
                is_uncertain=True,
            ) from error
        if not answer.ok:
            code = body.get("code", answer.status_code)
            detail = f"{body.get('detail', answer.reason)} ({code})"
            raise Failed(
                printable(detail),
                NOTHING_DONE if code in NO_MATCH else REFUSED,
                is_uncertain=answer.status_code >= SERVER_ERROR,
            )
        return body
