"""The commands in our documents that a person is to type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conventions.tracked import files, text_of

# Decisions and the changelog have no commands to type.
LEFT_OUT = ("docs/adr/", "CHANGELOG.md", "docs/licences.md")
FENCED = re.compile(r"```bash\n(.*?)```", re.DOTALL)
ANY_FENCE = re.compile(r"```.*?```", re.DOTALL)
INDENTED = re.compile(r"(?:^|\n)\n((?: {4}.*\n|\n(?= {4}))+)")
INLINE = re.compile(r"`([^`\n]+)`")
PROGRAM = re.compile(
    r"^(?:\./billing|make|bin/[a-z-]+|docker|kubectl|pip|python3?|stripe|curl|openssl|echo|useradd|"
    r"install|systemctl|/opt/billing/\S+|[A-Z_]+=\S+ (?:python3|docker))\b"
)
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
    """List the commands of indented blocks, one per line, without explanations."""
    commands = []
    for page in pages():
        text = ANY_FENCE.sub("", text_of(page)).replace("\\\n", "")
        for block in INDENTED.findall(text):
            for line in block.splitlines():
                parts = COLUMNS.split(re.sub(r" +# .*", "", line.strip()))
                joined = _joined(parts)
                commands += [Command(str(page), one) for one in joined if PROGRAM.match(one)]
    return commands


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
    commands = []
    for page in pages():
        text = ANY_FENCE.sub("", text_of(page))
        commands += [Command(str(page), one) for one in INLINE.findall(text) if PROGRAM.match(one)]
    return commands
