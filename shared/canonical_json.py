"""Canonical JSON for storing, hashing and sending: one value has one text."""

from __future__ import annotations

import json
from typing import Any

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode


def compact(value: Any) -> str:
    """Render canonical JSON: no spaces, UTF-8 without escapes, keys in a stable order.

    Half of a surrogate pair, which UTF-8 cannot encode, stays a JSON escape.
    """
    text = _encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), sort_keys=True)
    return text
