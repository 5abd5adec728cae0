"""Run the real Stripe CLI and read what it says."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any

# Seconds; a call takes about 0.3, the first on a cold disk several.
CALL_LIMIT_SECONDS = 60


@dataclass(frozen=True)
class Outcome:
    """How one call of the CLI ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The object it printed."""
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Cli:
    """The CLI with a base URL and a key."""

    binary: str
    base_url: str
    key: str
    config_home: str

    def run(self, *arguments: str) -> Outcome:
        """Run to the end."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=CALL_LIMIT_SECONDS,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start what goes on until it is stopped, such as `listen`."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def command(self, *arguments: str) -> list[str]:
        """Return the command line with the flags every call needs."""
        return [
            self.binary,
            *arguments,
            "--api-base",
            self.base_url,
            "--api-key",
            self.key,
            "--color",
            "off",
        ]

    def environment(self) -> dict[str, str]:
        """Leave nothing of the person's own set-up in; end the search for updates at once."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": self.config_home,
            "XDG_CONFIG_HOME": self.config_home,
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
            "HTTPS_PROXY": "http://127.0.0.1:9",
        }
