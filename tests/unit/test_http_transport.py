"""The session of calls to Stripe: what the environment says of proxies counts, and is read once."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import requests.sessions

from shared.http_transport import deadline_session

FAR, NEAR = "https://far.test/v1/charges", "https://near.test/v1/charges"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> requests.Session:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "near.test")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/authorities.pem")
    return deadline_session(connections=1)


def merged(session: requests.Session, url: str, **proxies: str) -> Any:
    """Merge as each call does."""
    return session.merge_environment_settings(url, proxies, None, True, None)


def test_the_environment_names_proxies_and_authorities(session: requests.Session) -> None:
    for _ in range(2):
        assert merged(session, FAR)["proxies"]["https"] == "http://proxy.test:3128"
        assert "https" not in merged(session, NEAR)["proxies"]
        assert merged(session, FAR)["verify"] == "/authorities.pem"
        own = merged(session, FAR, https="http://own.test:1")
        assert own["proxies"]["https"] == "http://own.test:1"


def test_the_environment_is_searched_once_for_each_peer(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []
    search = requests.sessions.get_environ_proxies

    def counted_search(url: str, **options: Any) -> Any:
        searches.append(url)
        return search(url, **options)

    monkeypatch.setattr(requests.sessions, "get_environ_proxies", counted_search)
    for url in (FAR, f"{FAR}/ch_1", NEAR, f"{FAR}?limit=1"):
        merged(session, url)
    assert searches == [FAR, NEAR]
