"""One schema of the store: every key is named in one place, and its page is generated from it."""

import re
from pathlib import Path

import pytest

from shared.errors import Inconsistent
from shared.keys import MEANING, SCHEMA, Keys, State, entry_of
from shared.store import sources
from shared.store.document import markdown, pattern
from shared.store.scripts import Call
from shared.store.sources import key_names, script_names, script_source
from tests.conventions.tracked import python_files, text_of

# A Redis command whose first argument is a text in the code instead of a name of the schema.
SPELT = re.compile(r"""redis\.(?!info\b|config_get\b)\w+\(\s*f?["']""")
BRACES = re.compile(r"""\{billing\}:|["']billing:""")
# The schema, its page, and the module that knows the names of an earlier release.
SPELLERS = {Path(f"shared/{name}.py") for name in ("keys", "store/document", "store/carry_over")}
SERVICE = ("api", "worker", "shared", "cli", "doctor", "local")


def test_the_page_about_the_store_is_the_one_the_schema_makes():
    assert text_of(Path("docs/store.md")) == markdown(), "run bin/store-docs"


def test_nothing_but_the_schema_spells_a_key():
    texts = {name: text_of(name) for name in python_files(*SERVICE)}
    bad = {str(name): SPELT.findall(text) + BRACES.findall(text) for name, text in texts.items()}
    assert {str(name) for name in SPELLERS} <= {name for name, keys in bad.items() if keys}
    assert not {name: keys for name, keys in bad.items() if keys and Path(name) not in SPELLERS}


@pytest.mark.parametrize("script", script_names())
def test_a_script_touches_no_key_but_those_it_declares(script):
    body = (sources.LUA / f"{script}.lua").read_text().split("\n", 2)[2]
    used = set(re.findall(r"\bkey\.(\w+)", body))
    declared = {name.removesuffix("*") for name in key_names(script)}
    assert used == declared
    assert not re.search(r"\bKEYS\b", body)  # HKEYS is a command
    called = re.findall(r"redis\.call\('\w+', ([^,)]+)", body)
    assert not [name for name in called if ".." in name or "'" in name], "it builds a name"


def test_a_script_that_lacks_a_key_is_refused():
    with pytest.raises(Inconsistent):
        Call("begin", {"item": "a"}).flat_keys()
    many = Call("pulse", {"pulse": "a", "queue": ["b", "c"]})
    assert many.flat_keys() == ["a", "b", "c"]


def test_a_script_without_declared_keys_is_refused(monkeypatch, tmp_path):
    (tmp_path / "bad.lua").write_text("#!lua\nreturn 1\n")
    (tmp_path / "worse.lua").write_text("#!lua\n-- KEYS nonsense\nreturn 1\n")
    monkeypatch.setattr(sources, "LUA", tmp_path)
    for name in ("bad", "worse"):
        with pytest.raises(Inconsistent):
            key_names(name)


def test_keys_of_one_installation_share_a_hash_tag_and_no_other_has_it():
    for name in SCHEMA:
        assert pattern(name).startswith("{billing}:")
    assert Keys("other").audit() == "{other}:audit"


def test_every_state_is_explained_and_every_script_writes_known_ones():
    assert set(MEANING) == set(State)
    for script in script_names():
        written = re.findall(r"'HSET'.*'state', '(\w+)'", script_source(script))
        assert set(written) <= set(State)


def test_a_key_of_a_script_is_an_entry_by_its_last_words():
    assert entry_of("notification_due") == "due"
    assert entry_of("refund_of") == "refund_of"
    assert entry_of("nonsense") is None
