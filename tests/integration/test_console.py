"""The console's files: static, protected by their headers, and without data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.console import CONSOLE_PAGE, DOCS_PAGE, FOLDER, TYPES
from shared.settings import Settings
from shared.store.scripts import Store
from tests.conftest import make_settings
from tests.integration.doors import open_door
from tests.integration.hands import Hands

KEY = "operator-key-0123456789"
FILES = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
PAGES = {CONSOLE_PAGE: "/console", DOCS_PAGE: "/docs"}
ADDRESSES = sorted(PAGES.get(name, f"/console/{name}") for name in FILES)
SWAGGER = ["/docs/js/swagger-ui-bundle.js", "/docs/css/swagger-ui.css"]
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
}


class Reader(FlaskClient):
    """Read every answer completely, as a browser does, so that the served file is closed."""

    def open(self, *arguments: Any, **options: Any) -> TestResponse:
        return super().open(*arguments, **({"buffered": True} | options))


@pytest.fixture(scope="module")
def closed(valkey_server: str) -> Reader:
    """Build a service that requires an operator's key."""
    return reader(create_app(make_settings(operator_keys=KEY, redis_url=valkey_server)))


def reader(app: Flask) -> Reader:
    app.test_client_class = Reader
    return cast(Reader, app.test_client())


@pytest.mark.parametrize("address", [*ADDRESSES, *SWAGGER])
def test_each_file_is_served_to_anybody_and_kept_to_itself(closed: Reader, address: str) -> None:
    answer = closed.get(address)
    assert answer.status_code == 200
    assert set(answer.headers["Content-Security-Policy"].split("; ")) >= POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Set-Cookie" not in answer.headers


def test_each_kind_of_file_has_the_type_that_a_browser_insists_on(closed: Reader) -> None:
    assert closed.get("/console").content_type == "text/html; charset=utf-8"
    assert closed.get("/console/main.js").content_type == "text/javascript; charset=utf-8"
    assert closed.get("/console/style.css").content_type == "text/css; charset=utf-8"
    assert closed.get("/console/icon.svg").content_type.startswith("image/svg+xml")


@pytest.mark.parametrize("address", ["/console", "/console/main.js"])
def test_a_file_that_did_not_change_is_not_sent_again(closed: Reader, address: str) -> None:
    first = closed.get(address)
    again = closed.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Content-Security-Policy"]
    assert closed.get(address, headers={"If-None-Match": '"another"'}).status_code == 200
    assert closed.head(address).headers["ETag"] == first.headers["ETag"]


def test_files_are_told_apart_by_their_tags(closed: Reader) -> None:
    assert len({closed.get(address).headers["ETag"] for address in ADDRESSES}) == len(FILES)


def test_the_console_lets_no_text_become_an_element(closed: Reader) -> None:
    policy = closed.get("/console").headers["Content-Security-Policy"].split("; ")
    assert {"require-trusted-types-for 'script'", "trusted-types 'none'"} < set(policy)


def test_there_is_no_page_beside_the_two(closed: Reader) -> None:
    assert {Path(name).suffix for name in FILES} == set(TYPES)
    for address in ("/swagger", "/oauth2-redirect.html", "/docs/", "/docs/index.html"):
        assert closed.get(address).status_code == 404


def test_the_page_is_the_same_whatever_the_service_holds_and_whoever_asks(
    hands: Hands, closed: Reader
) -> None:
    before = hands.client.get("/console", buffered=True).data
    hands.pay()
    hands.deliver_events()
    hands.work()
    headers = {"Authorization": f"Bearer {KEY}"}
    assert hands.client.get("/console", buffered=True).data == before
    assert closed.get("/console", headers=headers).data == before
    assert KEY.encode() not in before


def test_the_page_is_there_when_redis_is_not() -> None:
    client = reader(create_app(make_settings(redis_url="redis://127.0.0.1:9/0")))
    assert client.get("/console").status_code == 200
    assert client.get("/ops/service").status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "/console/nothing.js",
        "/console/index.html",
        "/console/docs.html",
        "/console/package.json",
        "/docs/../console/main.js",
        "/docs/%2e%2e/__init__.py",
        "/docs/js",
        "/console/views",
        "/console/../console.py",
        "/console/%2e%2e/console.py",
        "/console/views/../../console.py",
        "/console//etc/passwd",
    ],
)
def test_nothing_but_the_pages_files_is_ever_served(closed: Reader, address: str) -> None:
    answer = closed.get(address, follow_redirects=True)
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


def test_the_page_is_only_read(closed: Reader) -> None:
    assert closed.post("/console").status_code == 405


def test_a_slash_too_many_leads_to_the_page(closed: Reader) -> None:
    answer = closed.get("/console/")
    assert (answer.status_code, answer.headers["Location"]) == (308, "../console")


def test_the_page_is_no_part_of_the_contract(settings: Settings) -> None:
    paths = create_app(settings).api_doc["paths"]
    assert not [path for path in paths if "console" in path]


def test_every_file_is_asked_for_by_another_and_every_one_asked_for_is_there() -> None:
    imported = re.compile(r'^(?:import|\}) .*from "(\.[^"]+)"|^import "(\.[^"]+)"', re.MULTILINE)
    assets = set()
    for path in FOLDER.rglob("*.js"):
        for name in imported.findall(path.read_text()):
            target = (path.parent / "".join(name)).resolve()
            assets.add(target.relative_to(FOLDER.resolve()).as_posix())
    for page in PAGES:
        assets |= set(re.findall(r'(?:src|href)="console/([^"]+)"', (FOLDER / page).read_text()))
    assert assets == FILES - set(PAGES)


@pytest.mark.parametrize(
    ("settings_of", "mode", "is_open"),
    [
        ({"stripe_api_base": "http://127.0.0.1:9"}, "simulated", True),
        ({}, "test", True),
        ({"operator_keys": KEY}, "test", False),
        (
            {
                "stripe_secret_key": "sk_live_tests_0123456789",
                "api_keys": "api-key-0123456789",
                "operator_keys": KEY,
            },
            "live",
            False,
        ),
    ],
)
def test_the_service_says_what_it_is(
    real_store: Store, settings_of: dict[str, str], mode: str, is_open: bool
) -> None:
    client = open_door(make_settings(**settings_of), real_store)
    service = client.get("/ops/service", headers={"Authorization": f"Bearer {KEY}"}).get_json()
    assert (service["mode"], service["open"]) == (mode, is_open)
    assert re.match(r"20\d\d-", service["stripe_api_version"])
    dashboards = {
        "simulated": "http://127.0.0.1:9",
        "test": "https://dashboard.stripe.com/test",
        "live": "https://dashboard.stripe.com",
    }
    assert service["dashboard"] == dashboards[mode]
