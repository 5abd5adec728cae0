"""The files of the repository, for tests that check rules for all of them."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("api", "worker", "shared", "sandbox", "local", "cli", "doctor")


@cache
def files() -> tuple[Path, ...]:
    """Return every tracked file that exists, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = [Path(name) for name in listing.stdout.split("\0") if name]
    return tuple(name for name in names if (ROOT / name).is_file())


def python_files(*roots: str) -> list[Path]:
    """Return the tracked Python files, of the named folders or of all."""
    return [
        name for name in files() if name.suffix == ".py" and (not roots or name.parts[0] in roots)
    ]


def text_of(name: Path) -> str:
    """Return the text of a file; '' for a binary file such as a picture."""
    try:
        return (ROOT / name).read_text()
    except UnicodeDecodeError:
        return ""
