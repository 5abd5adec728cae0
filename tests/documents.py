"""The commands in our documents that a person is to type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.conventions.tracked import files, text_of

# Decisions and the changelog have no commands to type.
LEFT_OUT = ("docs/adr/", "CHANGELOG.md", "docs/licences.md")
FENCED = re.compile(r"```bash\n(.*?)```", re.DOTALL)
ANY_FENCE = re.compile(r"```.*?```", re.DOTALL)
INDENTED = re.compile(r"(?:^|\n)\n((?: {4}.*\n|\n(?= {4}))+)")
INLINE = re.compile(r"`([^`\n]+)`")
PROGRAM = re.compile(
    r"^(?:\./billing|make|bin/[a-z-]+|docker|kubectl|pip|python3?|stripe|curl|openssl|echo|useradd|"
    r"install|systemctl|redis-cli|nginx|py-spy|sed|git|/opt/billing/\S+|"
    r"[A-Z_]+=\S+ (?:python3|docker))\b"
)
# A command to Redis, as a person types it into `redis-cli`: its name, and what it is given.
TO_REDIS = re.compile(
    r"^(?:ACL|CONFIG|INFO|ZRANGE|HGETALL|LRANGE|LLEN|GET|TTL|TYPE|SMEMBERS|XRANGE|KEYS|SCAN) \S"
)
ROUTE = re.compile(r"^GET /")
# An explanation is to the right of a command, after two blanks; so may be a second command.
COLUMNS = re.compile(r" {2,}|(?<=\S)\t+")


@dataclass(frozen=True)
class Command:
    """A command, and its page."""

    page: str
    text: str


def pages() -> list[Path]:
    """List the documents with commands to type."""
    return [name for name in files() if name.suffix == ".md" and not str(name).startswith(LEFT_OUT)]


def blocks() -> list[Command]:
    """List the fenced blocks of shell commands."""
    return [
        Command(str(page), block) for page in pages() for block in FENCED.findall(text_of(page))
    ]


def typed() -> list[Command]:
    """List the commands of indented blocks, without explanations."""
    return [
        Command(command.page, one)
        for command in _lines()
        for one in _joined(COLUMNS.split(command.text))
        if PROGRAM.match(one)
    ]


def to_redis() -> list[Command]:
    """List the commands that a person is to give to Redis, without explanations."""
    lines = [Command(line.page, re.sub(r" {3,}.*", "", line.text)) for line in _lines()]
    return [one for one in [*lines, *_inline()] if TO_REDIS.match(one.text) and not is_route(one)]


def is_route(command: Command) -> bool:
    """Tell a route of HTTP from the command GET of Redis."""
    return bool(ROUTE.match(command.text))


def no_commands() -> list[Command]:
    """List the indented lines that are no command: pictures, lists, lines of a settings file."""
    return [
        line for line in _lines() if not PROGRAM.match(line.text) and not TO_REDIS.match(line.text)
    ]


def fences() -> set[str]:
    """List the languages of all fenced blocks."""
    return {
        language
        for page in pages()
        for language in re.findall(r"^```(.*)\n(?:.*\n)*?```$", text_of(page), re.MULTILINE)
    }


def indented(page: str, beginning: str) -> str:
    """Return the indented block of a page that begins with this, without the indentation."""
    blocks = [dedent(block) for block in INDENTED.findall(text_of(Path(page)))]
    (block,) = [block for block in blocks if block.startswith(beginning)]
    return block


def _lines() -> list[Command]:
    """List the lines of indented blocks, a command over several lines as one."""
    lines = []
    for page in pages():
        text = re.sub(r" *\\\n +", " ", ANY_FENCE.sub("", text_of(page)))
        for block in INDENTED.findall(text):
            texts = [re.sub(r" +# .*|^#.*", "", line.strip()) for line in block.splitlines()]
            lines += [Command(str(page), line) for line in texts if line]
    return lines


def _joined(parts: list[str]) -> list[str]:
    """Join a command over two lines, which contains blanks."""
    commands: list[str] = []
    for part in parts:
        if commands and part.startswith("-"):
            commands[-1] += " " + part
        else:
            commands.append(part)
    return commands


def mentioned() -> list[Command]:
    """List the commands that are named in a sentence or a table."""
    return [one for one in _inline() if PROGRAM.match(one.text)]


def _inline() -> list[Command]:
    return [
        Command(str(page), one)
        for page in pages()
        for one in INLINE.findall(ANY_FENCE.sub("", text_of(page)))
    ]
