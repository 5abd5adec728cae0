"""Texts from outside can neither control a terminal nor show a password."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from shared.printable import printable, printable_lines, without_password
from shared.telemetry.logging import _text


@pytest.mark.parametrize(
    ("text", "page_text"),
    [
        ("Zürich – 3 €, 東京 😀", "Zürich – 3 €, 東京 😀"),
        ("\x1b[2J", "\\u001b[2J"),
        ("a\nb\r\tc\x00", "a\\u000ab\\u000d\\u0009c\\u0000"),
        ("\x9b31m\x7f", "\\u009b31m\\u007f"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\udb40\\udc01"),
    ],
)
def test_what_is_not_to_be_seen_is_escaped(text: str, page_text: str) -> None:
    assert printable(text) == page_text


@pytest.mark.parametrize("text", ["\x1b[31m", "\x9b", "\u202e", "\U000e0001", "line\nline"])
def test_escaped_json_says_the_same(text: str) -> None:
    written = printable_lines(json.dumps({"a": text}, indent=2, ensure_ascii=False))
    assert json.loads(written) == {"a": text}
    assert written.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("redis://:hunter2@host:6379/0", "redis://:***@host:6379/0"),
        ("https://kim:hunter2@host/path", "https://kim:***@host/path"),
        ("https://kim@host/path?token=hunter2", "https://kim@host/path?***"),
        ("https://host:5000/path", "https://host:5000/path"),
        ("http://[hunter2", "***"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, answer: str) -> None:
    assert without_password(url) == answer


def test_a_text_log_line_is_one_line_and_steers_nothing() -> None:
    hostile = "\x1b[2J\nforged level=info"
    event = {"event": f"request {hostile}", "level": "info", "error": hostile, "n": [hostile]}
    line = _text(SimpleNamespace(), "info", event)
    assert "\n" not in line
    assert "\x1b" not in line
    traceback = _text(SimpleNamespace(), "error", {"event": "x", "exception": "a\n\x1bb"})
    assert "a\n\\u001bb" in traceback
