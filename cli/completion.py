"""Completion in zsh, which Typer's own script does only for a command on the PATH."""

from __future__ import annotations

from typer import _completion_shared

RUNS_THE_NAME = "=complete_zsh %(prog_name)s)"
# The word that was typed: `./billing` is in no directory of the PATH.
RUNS_WHAT_WAS_TYPED = "=complete_zsh ${(Q)words[1]})"


def complete_what_was_typed() -> None:
    """Have zsh's completion script run the command as it was typed, as bash's script does."""
    scripts = _completion_shared._completion_scripts  # noqa: SLF001 - Typer has no public way
    scripts["zsh"] = scripts["zsh"].replace(RUNS_THE_NAME, RUNS_WHAT_WAS_TYPED)
