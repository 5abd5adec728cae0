"""Calls of the tests' own servers, on connections that last as long as the process.

A call of `requests` computes three times as long: it makes a session and reads the environment.
"""

from __future__ import annotations

from typing import Any

from urllib3 import BaseHTTPResponse, PoolManager, Retry

SECONDS = 5.0
# A server may close an idle connection; a call on it is repeated on another.
POOL = PoolManager(maxsize=8, retries=Retry(total=3, allowed_methods=None, redirect=False))
ACCOUNT = {"Authorization": "Bearer sk_test_tests_0123456789"}


def call(method: str, url: str, **options: Any) -> BaseHTTPResponse:
    """Call a server, which must answer with success; options are those of urllib3."""
    answer = POOL.request(method, url, timeout=SECONDS, **options)
    assert answer.status < 300, (method, url, answer.status, answer.data)
    return answer


def at_stripe(method: str, url: str, **fields: Any) -> Any:
    """Call the sandbox as Stripe's account; return its answer."""
    form = {} if method == "GET" else {"encode_multipart": False}
    return call(method, url, headers=ACCOUNT, fields=fields, **form).json()
