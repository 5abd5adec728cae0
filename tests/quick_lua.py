"""Lua in fakeredis, quicker: it compiled each script and collected all garbage at each call.

The interpreter, the scripts and what they may do are the same. A script is compiled once for each
server, garbage is collected when Lua itself finds it worth while, and Lua, not Python, compares the
names of its global variables with those that were there before the script.
"""

from __future__ import annotations

from typing import Any

from fakeredis.commands_mixins import scripting_mixin

LUA: Any = scripting_mixin.LUA_MODULE
OWN_GARBAGE_COLLECTION = "collectgarbage()"
# Whether there is a global variable that a table does not name.
STRANGER = b"""
local names = ...
for name in next, _G do
    if not names[name] then return true end
end
return false
"""
_slow_check = scripting_mixin._check_for_lua_globals


class QuickLua(LUA.LuaRuntime):  # type: ignore[misc]  # Cython's
    """An interpreter that keeps the scripts which it compiled."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._compiled: dict[bytes | str, Any] = {}
        self._names: Any = None
        self._find_stranger = self.compile(STRANGER)

    def execute(self, code: bytes | str, *args: Any) -> Any:
        """Run a script; its mistakes, of syntax too, are raised at each run."""
        if code == OWN_GARBAGE_COLLECTION:
            return None
        script = self._compiled.get(code)
        if script is None:
            try:
                script = self._compiled[code] = self.compile(code)
            except LUA.LuaSyntaxError:
                return super().execute(code, *args)  # it describes the mistake in its own words
        return script(*args)

    def has_a_stranger(self, expected: set[Any]) -> bool:
        """Say whether there is a global variable that is not expected."""
        if self._names is None:  # one set for each interpreter
            self._names = self.table_from(dict.fromkeys(expected, True))
        return bool(self._find_stranger(self._names))


def _check(lua_runtime: Any, expected_globals: set[Any]) -> None:
    if lua_runtime.has_a_stranger(expected_globals):
        _slow_check(lua_runtime, expected_globals)


def install() -> None:
    """Make each fakeredis from now on use it."""
    LUA.LuaRuntime = QuickLua
    scripting_mixin._check_for_lua_globals = _check
