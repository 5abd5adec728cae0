"""Every link between our documents leads to a tracked file and an existing heading."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conventions.tracked import ROOT, files, text_of

PAGES = [name for name in files() if name.suffix == ".md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = HEADING.findall(FENCED.sub("", text_of(page)))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def broken(page: Path, text: str) -> list[str]:
    """List the broken relative links of a page."""
    paths = {*files(), *(parent for name in files() for parent in name.parents)}
    bad = []
    for link in LINK.findall(text):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, heading = link.partition("#")
        place = (ROOT / page.parent / path).resolve() if path else ROOT / page
        target = place.relative_to(ROOT)
        if target not in paths or (heading and heading not in anchors(target)):
            bad.append(link)
    return bad


def test_every_link_leads_somewhere() -> None:
    assert PAGES
    assert not {str(page): bad for page in PAGES if (bad := broken(page, text_of(page)))}


def test_a_broken_link_is_seen() -> None:
    text = "[a](nowhere.md) [b](runbook.md#no-such-heading) [c](runbook.md#alerts) [d](../docs)"
    assert broken(Path("docs/store.md"), text) == ["nowhere.md", "runbook.md#no-such-heading"]
