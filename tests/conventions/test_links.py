"""Links between our documents lead to existing headings, and files that a text names exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tests.conventions.tracked import ROOT, files, text_of

THIS = Path("tests/conventions/test_links.py")
PAGES = [name for name in files() if name.suffix == ".md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
FOLDERS = "|".join(sorted({re.escape(name.parts[0]) for name in files() if len(name.parts) > 1}))
SUFFIXES = "json|lua|md|py|toml|txt|ya?ml"
NAME = re.compile(rf"(?<![\w./{{}}-])(?:{FOLDERS})/[\w./-]*\w\.(?:{SUFFIXES})\b")
# The changelog may name files of earlier releases.
OF_THE_PAST = Path("CHANGELOG.md")


@cache
def places() -> set[Path]:
    """Return every file and folder of the repository."""
    return {*files(), *(parent for name in files() for parent in name.parents)}


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = HEADING.findall(FENCED.sub("", text_of(page)))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def broken(page: Path, text: str) -> list[str]:
    """List the broken relative links of a page."""
    bad = []
    for link in LINK.findall(text):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, heading = link.partition("#")
        place = (ROOT / page.parent / path).resolve() if path else ROOT / page
        target = place.relative_to(ROOT)
        if target not in places() or (heading and heading not in anchors(target)):
            bad.append(link)
    return bad


def test_every_link_leads_somewhere() -> None:
    assert PAGES
    assert not {str(page): bad for page in PAGES if (bad := broken(page, text_of(page)))}


def missing(text: str) -> list[str]:
    """List the files that a text names and that do not exist."""
    return [name for name in NAME.findall(text) if not (ROOT / name).is_file()]


def test_every_named_file_exists() -> None:
    bad = {name: missing(text_of(name)) for name in files() if name not in (OF_THE_PAST, THIS)}
    assert {name: names for name, names in bad.items() if names} == {}


def test_a_missing_file_is_seen() -> None:
    text = "`worker/run.py`, worker/no_such.py and docs/store.md, but not http://x/docs/a.md"
    assert missing(text) == ["worker/no_such.py"]


def test_a_broken_link_is_seen() -> None:
    text = "[a](nowhere.md) [b](runbook.md#no-such-heading) [c](runbook.md#alerts) [d](../docs)"
    assert broken(Path("docs/store.md"), text) == ["nowhere.md", "runbook.md#no-such-heading"]
