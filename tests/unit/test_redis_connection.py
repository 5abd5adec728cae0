"""One address of Redis in two spellings: redis-py's and Celery's."""

import ssl

import pytest

from shared.store.connection import broker_settings, connect, sentinel_address
from tests.conftest import make_settings


def test_a_sentinel_url_names_its_hosts_and_what_they_watch() -> None:
    address = sentinel_address("sentinel://:p%40ss@one:26380,two/3?service=billing")
    assert address is not None
    assert address.hosts == (("one", 26380), ("two", 26379))
    assert (address.service, address.database, address.password) == ("billing", 3, "p@ss")


def test_celery_gets_a_url_for_each_sentinel() -> None:
    found = broker_settings(make_settings(redis_url="sentinel://one:1,two:2/0?service=billing"))
    assert found["broker_url"] == "sentinel://one:1/0;sentinel://two:2/0"
    assert found["broker_transport_options"]["master_name"] == "billing"


@pytest.mark.parametrize(
    ("url", "celerys"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("rediss://h:1/0", "rediss://h:1/0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
    ],
)
def test_any_other_url_is_handed_on(url: str, celerys: str) -> None:
    assert sentinel_address(url) is None
    assert broker_settings(make_settings(redis_url=url))["broker_url"] == celerys
    assert connect(make_settings(redis_url=url), "test")


def test_tls_is_always_verified() -> None:
    url = "rediss://h:1/0?ssl_ca_certs=/etc/ca.pem"
    found = broker_settings(make_settings(redis_url=url))["broker_use_ssl"]
    assert found == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "/etc/ca.pem"}
