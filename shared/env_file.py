"""The `.env` file: its variables, and the problems of its lines."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

ENV_FILE = ".env"
# Names another file; when it is empty, no file is read. `python app.py` reads the file once and
# sets this for the processes that it starts.
ENV_FILE_VARIABLE = "BILLING_ENV_FILE"
# The library's warnings of broken lines; `EnvFile.problems` has them once, with all others.
logging.getLogger("dotenv").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class EnvFile:
    """The content of a `.env` file: its variables, and its problems, one line each.

    A problem begins with the path, as a problem of a setting begins with its name, and does not
    contain the file's text, which may be a secret.
    """

    variables: Mapping[str, str]
    problems: tuple[str, ...]

    def below(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that the environment does not set, by their names in lower case.

        The case of a name does not matter, and an empty variable counts as not set.
        """
        own_names = {name.lower() for name, value in environment.items() if value}
        own = {name.lower(): value for name, value in self.variables.items() if value}
        return {name: value for name, value in own.items() if name not in own_names}


NO_FILE = EnvFile({}, ())


def given_file(file: str | EnvFile | None) -> EnvFile:
    """Return a file that was read already, or read it; BILLING_ENV_FILE names another one.

    None, and an empty BILLING_ENV_FILE, stand for no file.
    """
    if isinstance(file, EnvFile):
        return file
    path = file and os.environ.get(ENV_FILE_VARIABLE, file)
    return read_env_file(path) if path else NO_FILE


def read_env_file(path: str = ENV_FILE) -> EnvFile:
    """Read a `.env` file once; it is empty when there is none, or it cannot be read."""
    text, problems = _text_of(path)
    values = dotenv_values(stream=io.StringIO(text))
    variables = {name: value for name, value in values.items() if value is not None}
    broken = [
        f"{path} line {binding.original.line} cannot be read: {_fault(binding)}"
        for binding in parse_stream(io.StringIO(text))
        if _is_broken(binding)
    ]
    return EnvFile(variables, (*problems, *broken))


def _text_of(path: str) -> tuple[str, list[str]]:
    try:
        return Path(path).read_text("utf-8-sig"), []
    except FileNotFoundError:
        return "", []
    except UnicodeDecodeError:
        return "", [f"{path} cannot be read: it is no text in UTF-8. Save it as UTF-8."]
    except OSError as error:
        return "", [f"{path} cannot be read ({(error.strerror or str(error)).lower()})"]


def _is_broken(binding: Binding) -> bool:
    has_name_alone = binding.key is not None and binding.value is None
    return binding.error or has_name_alone


def _fault(binding: Binding) -> str:
    if binding.error and binding.original.string.count("\n") > 1:
        return "a quotation mark is opened and not closed"
    return "a line is NAME=value, and quotation marks come in pairs"
