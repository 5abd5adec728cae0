"""What our documents name in code type exists: settings, fields, metrics, functions, options."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tests.conventions.tracked import files, text_of

# The changelog may name what earlier releases had; mutants.md has programs' text.
LEFT_OUT = ("CHANGELOG.md", "docs/mutants.md")
# Of Redis, Celery, systemd, browsers and other programs, which this repository only documents.
OF_OTHERS = {
    *("--install-completion", "--latency", "--now", "--pid"),
    *("BGSAVE", "DBSIZE", "SKIP", "WAITAOF", "volatile"),
    *("acks_late", "apply_async", "clone"),
}
FENCED = re.compile(r"```.*?```", re.DOTALL)
IN_CODE_TYPE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
# Not the rest of a name with a hyphen, and not the beginning of one that is cut by an ellipsis.
NAME = re.compile(r"(?<![\w-])(?:--[a-z][\w-]+|[A-Za-z_]\w{2,})(?![\w…])")
WORD = re.compile(r"(?<![\w-])--[a-z][\w-]+|[A-Za-z_]\w{2,}")


@cache
def words_of_the_code() -> frozenset[str]:
    """Collect every word of the files that are no documents, and of all files' names."""
    code = [text_of(name) for name in files() if name.suffix != ".md"]
    return frozenset(WORD.findall("\n".join([*code, *map(str, files())])))


def unknown(text: str) -> set[str]:
    """Return the words in code type that are in no file of the code."""
    spans = IN_CODE_TYPE.findall(FENCED.sub("", text))
    words = {word for span in spans for word in NAME.findall(span)} - OF_OTHERS
    of_code = words_of_the_code()
    # An option may come from the name of a field.
    return {one for one in words if not {one, one.strip("-").replace("-", "_")} & of_code}


def documents() -> list[Path]:
    return [name for name in files() if name.suffix == ".md" and str(name) not in LEFT_OUT]


def test_every_name_in_code_type_exists() -> None:
    bad = {str(name): words for name in documents() if (words := unknown(text_of(name)))}
    assert bad == {}


def test_a_name_that_does_not_exist_is_seen() -> None:
    # Composed, so that this file does not contain them.
    names = [f"RELAY_{'PAUSE'}_SECONDS", f"billing_{'bells'}_total", f"--{'for-ever'}-more"]
    text = (
        f"Set `{names[0]}=1`, look at `{names[1]}`, run `./billing queues {names[2]}`, `REDIS_URL`."
    )
    assert unknown(text) == set(names)
