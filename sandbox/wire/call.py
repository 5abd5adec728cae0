"""An API call, and the routes that serve calls."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from sandbox.wire.params import Parser, Required
from sandbox.world.objects import Json
from sandbox.world.world import Scope

ID: Final = r"(?!search(?:/|$))[^/]+"
"""The pattern of an id in a path; `search` is a route of its own, which is not simulated."""
NOTHING: Mapping[str, "Parser | Required"] = {}


@dataclass(frozen=True)
class Call:
    """The arguments of a handler: checked parameters, ids in the path, scope."""

    scope: Scope
    version: str
    path: str
    params: Json
    ids: tuple[str, ...] = ()


Handler = Callable[[Call], Json]


@dataclass(frozen=True)
class Route:
    """A method and a path pattern (`/v1/refunds/{id}`) with their handler and parameters."""

    method: str
    pattern: str
    handler: Handler
    spec: Mapping[str, Parser | Required] = field(default_factory=lambda: NOTHING)

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{\w+\}", f"({ID})", self.pattern))

    def match(self, method: str, path: str) -> tuple[str, ...] | None:
        """Return the ids in the path, or None if this is another route."""
        if method != self.method:
            return None
        match = self._regex.fullmatch(path)
        return None if match is None else match.groups()
