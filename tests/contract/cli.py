"""Run the real Stripe CLI and read its output."""

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
    """The result of one call of the CLI."""

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
        """Run a command to its end."""
        process = subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=CALL_LIMIT_SECONDS,
            check=False,
        )
        return Outcome(process.returncode, process.stdout, process.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that runs until it is stopped, such as `listen`."""
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
        """Build an environment without a person's configuration and a search for updates."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": self.config_home,
            "XDG_CONFIG_HOME": self.config_home,
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
            "HTTPS_PROXY": "http://127.0.0.1:9",
        }
