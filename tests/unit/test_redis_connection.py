"""The URL of Redis: read once, converted for redis-py and for Celery, or refused."""

import ssl
from typing import Any

import pytest
from kombu import Connection
from pydantic import ValidationError

from shared.redis_url import redis_address
from shared.store.connection import broker_settings, connect
from tests.conftest import make_settings


def test_a_sentinel_url_names_its_hosts_and_what_they_watch() -> None:
    address = redis_address("sentinel://:p%40ss@one:26380,two/3?service=billing")
    assert address.hosts == (("one", 26380), ("two", 26379))
    assert (address.service, address.database, address.password) == ("billing", 3, "p@ss")


def test_celery_gets_a_url_for_each_sentinel() -> None:
    broker_values = broker_settings(
        make_settings(redis_url="sentinel://one:1,two:2/0?service=billing")
    )
    assert broker_values["broker_url"] == "sentinel://one:1/0;sentinel://two:2/0"
    assert broker_values["broker_transport_options"]["master_name"] == "billing"


LOGIN = {"username": "u", "password": "p@ss/#:?"}
QUOTED = "u:p%40ss%2F%23%3A%3F@"
PLAIN = {"host": "h", "port": 6379, "db": 0}


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("redis://h", PLAIN),
        ("redis://h:7/3", {"host": "h", "port": 7, "db": 3}),
        ("redis://h?db=3", PLAIN | {"db": 3}),
        ("redis://h/2?db=3", PLAIN | {"db": 3}),
        (f"redis://{QUOTED}h", PLAIN | LOGIN),
        ("redis://h?username=u&password=p%40ss%2F%23%3A%3F", PLAIN | LOGIN),
        ("redis://:x@h", PLAIN | {"password": "x"}),
        ("redis://[::1]:7/1", {"host": "::1", "port": 7, "db": 1}),
        ("unix:///run/r.sock", {"path": "/run/r.sock", "db": 0}),
        ("unix:///run/r.sock?db=3", {"path": "/run/r.sock", "db": 3}),
        (f"unix://{QUOTED}/run/r.sock?db=3", {"path": "/run/r.sock", "db": 3} | LOGIN),
        ("unix:///run/r.sock?password=x", {"path": "/run/r.sock", "db": 0, "password": "x"}),
        ("rediss://h:7/3", {"host": "h", "port": 7, "db": 3, "ssl_cert_reqs": ssl.CERT_REQUIRED}),
        ("rediss://h?ssl_cert_reqs=none", PLAIN | {"ssl_cert_reqs": ssl.CERT_NONE}),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", PLAIN | {"ssl_cert_reqs": ssl.CERT_NONE}),
        (
            "rediss://h?ssl_ca_certs=/c&ssl_certfile=/d&ssl_keyfile=/e&ssl_check_hostname=false",
            PLAIN
            | {"ssl_ca_certs": "/c", "ssl_certfile": "/d", "ssl_keyfile": "/e"}
            | {"ssl_check_hostname": False},
        ),
    ],
)
def test_our_client_and_celerys_are_told_the_same(url: str, meant: dict[str, object]) -> None:
    settings = make_settings(redis_url=url)
    ours = connect(settings, "test").connection_pool.connection_kwargs
    broker_values = broker_settings(settings)
    with Connection(
        broker_values["broker_url"],
        ssl=broker_values.get("broker_use_ssl") or False,
        transport_options=broker_values["broker_transport_options"],
    ) as broker:
        transport: Any = broker.transport
        channel = transport.Channel.__new__(transport.Channel)
        channel.connection = transport
        channel.__dict__ |= {"keyprefix_fanout": "/{db}.", "max_connections": 10, "client_name": ""}
        theirs = channel._connparams()
    for name in ("host", "port", "db", "path", "username", "password"):
        assert ours.get(name) == meant.get(name), name
        assert (theirs.get(name) or None) == (meant.get(name) or None), name
    for name in (n for n in meant if n.startswith("ssl_")):
        assert ours[name] == theirs[name] == meant[name], name


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://h", "must begin with"),
        ("h:6379", "must begin with"),
        ("redis://", "has no host"),
        ("redis://h?socket_timeout=60", "'socket_timeout'"),
        ("redis://h?ssl=false", "'ssl'"),
        ("redis://h?ssl_ca_certs=/c", "'ssl_ca_certs'"),
        ("redis://h/zero", "'zero'"),
        ("redis://h/0/1", "'0/1'"),
        ("redis://h?db=-1", "'-1'"),
        ("redis://h?db=\u0663", "number of a database"),
        ("redis://h?db=1&db=2", "twice"),
        ("redis://h:99999", "port"),
        ("redis://h:abc", "port"),
        ("redis://a,b", "only sentinel://"),
        ("redis://:a#b@h", "fragment"),
        ("redis://u:p@h?password=x", "login"),
        ("rediss://h?ssl_cert_reqs=maybe", "ssl_cert_reqs"),
        ("rediss://h?ssl_check_hostname=perhaps", "ssl_check_hostname"),
        ("rediss://h?ssl_cert_reqs=none&ssl_check_hostname=true", "needs a certificate"),
        ("unix://run/r.sock", "unix:///path"),
        ("unix://", "unix:///path"),
        ("sentinel://one:x", "port"),
        ("sentinel://one,", "has no host"),
        ("sentinel://one?ssl_ca_certs=/c", "'ssl_ca_certs'"),
    ],
)
def test_what_one_of_them_would_not_understand_is_refused_at_start(url: str, says: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        make_settings(redis_url=url)
    assert says in str(refusal.value)
    assert url == "unix://" or url not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "https://h:8443/base",
        "http://u:p@h",
        "http://[::1]:1",
        "http://a_b.c:1",
        "http://bücher.example",
        "http://h.",
        "http://127.0.0.1",
    ],
)
def test_an_event_service_has_a_plain_address(url: str) -> None:
    assert make_settings(event_service_url=url).event_service_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://h/base?x=1",
        "http://h/base#frag",
        "http://h?",
        "http://h#",
        "http://h:99999",
        "http://h:abc",
        "http://h:0",
        "http://exa mple",
        "http://a..b",
        "http://.a",
        "ftp://h",
        "http://",
        "http://-a",
        "http://" + "a" * 64,
        "http://h\\x",
        "http://h\n",
        "h",
        "http://a!b",
    ],
)
def test_an_address_that_means_something_else_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        make_settings(event_service_url=url)
