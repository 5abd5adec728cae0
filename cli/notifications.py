"""`./billing notifications`: a test of the event service."""

from __future__ import annotations

import typer

from cli import output
from cli.client import Client
from cli.options import AsJson, Key, Reason, Url

notifications = typer.Typer(help="Test what the event service receives.", no_args_is_help=True)


@notifications.callback()
def group() -> None:
    """Test what the event service receives."""


@notifications.command("test")
def send_test(
    reason: Reason = "", as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """Send the event service a notification that is marked as a test and has no effect."""
    notification = Client(url, key).post("/notifications/test", reason)
    if as_json:
        output.as_json(notification)
    else:
        output.print_line(
            f"{notification['id']} is on its way. ./billing dead-letters show {notification['id']}"
        )
        output.print_line("shows each attempt with the event service's answer.")
