"""JSON as it is stored, hashed and sent: one value has one text."""

from __future__ import annotations

import json
from typing import Any

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode


def compact(value: Any) -> str:
    """Render JSON as it is stored: no spaces, UTF-8 as it is, stable order of keys.

    Half of a surrogate pair, which no UTF-8 can hold, stays the escape that JSON has for it.
    """
    text = _encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), sort_keys=True)
    return text
