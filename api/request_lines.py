"""The log line of each webhook, written with little CPU."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

from api.request_context import Identity, tell
from shared.settings import Settings


class RequestLines:
    """Write lines whose values are all our own, so that they need no search for secrets.

    All lines of one turn of the event loop are written at once. A line with a caller's own request
    id goes through the ordinary logger with its redaction; so does every line in text format.
    """

    def __init__(self, settings: Settings) -> None:
        self._ordinary = settings.log_format != "json"
        self._silent = settings.log_level in ("WARNING", "ERROR")
        self._lines: list[str] = []

    def tell(
        self, route: str, status: int, seconds: float, result: str, identity: Identity
    ) -> None:
        """Write the line of a POST at the end of this turn of the event loop."""
        if self._silent:
            return
        if self._ordinary or identity.given:
            tell(route, "POST", status, seconds, result=result, request_id=identity.request_id)
            return
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        now = datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
        self._lines.append(
            f'{{"method":"POST","route":"{route}","status":{status},'
            f'"duration_ms":{seconds * 1000:.1f},"result":"{result}",'
            f'"request_id":"{identity.request_id}","event":"request","process":"api",'
            f'"level":"info","timestamp":"{now}Z"}}\n'
        )

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        sys.stderr.write("".join(lines))
        sys.stderr.flush()
