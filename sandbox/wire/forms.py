"""Decode form bodies and queries in every format that Stripe's clients use.

`k[]=a`, `k[0]=a`, `a[b][c]=v`, `items[0][price]=p` and `items[][price]=p` all become a tree of
maps, lists and strings. Card numbers are concealed here, before any other code reads them.
"""

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

from sandbox.world import errors
from sandbox.world.objects import Json

SEGMENT: Final = re.compile(r"\[([^\[\]]*)\]")
KEY: Final = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")


def decode(text: str) -> Json:
    """Return the parameter tree of a form body or a query string."""
    return decode_pairs(parse_qsl(text, keep_blank_values=True))


def decode_pairs(pairs: Iterable[tuple[str, str]]) -> Json:
    """Return the parameter tree of decoded key and value pairs."""
    root: Json = {}
    for key, value in pairs:
        _insert(root, _segments(key), value, key)
    return {name: _lists(child) for name, child in root.items()}


def _segments(key: str) -> list[str]:
    match = KEY.match(key)
    if match is None:
        raise errors.invalid(f"Invalid parameter name: {key}", key)
    return [match.group(1), *SEGMENT.findall(match.group(2))]


def _insert(node: Json, segments: list[str], value: str, key: str) -> None:
    for position, segment in enumerate(segments[:-1]):
        name = segment or _open_index(node, segments[position + 1])
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            raise errors.invalid(f"Invalid object: {key}", segments[0])
    node[segments[-1] or _next_index(node)] = value


def _next_index(node: Json) -> str:
    return str(len(node))


def _open_index(node: Json, following: str) -> str:
    """Return the index for `items[]`: a repeated key begins a new element, another key does not."""
    last = str(len(node) - 1)
    if node and following and following not in node[last]:
        return last
    return _next_index(node)


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    children = {name: _lists(child) for name, child in node.items()}
    if children and all(name.isdigit() for name in children):
        return [children[name] for name in sorted(children, key=int)]
    return children
