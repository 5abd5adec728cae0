"""`python -m worker.handlers [--curl URL]`: the event types to enable at Stripe's endpoint."""

from __future__ import annotations

import sys

from shared.stripe.gateway import API_VERSION
from worker.registry import handled_types


def main(arguments: list[str]) -> None:
    """Print the types, one a line, or the request that makes an endpoint for them at Stripe."""
    match arguments:
        case []:
            sys.stdout.write("\n".join(handled_types()) + "\n")
        case ["--curl", url]:
            sys.stdout.write(request_for(url))
        case _:
            raise SystemExit("usage: bin/stripe-events [--curl URL]")


def request_for(url: str) -> str:
    """Write the request that makes an endpoint at a URL, in our API version."""
    fields = [f"url={url}", f"api_version={API_VERSION}"]
    fields += [f"enabled_events[]={event_type}" for event_type in handled_types()]
    lines = ['curl https://api.stripe.com/v1/webhook_endpoints -u "$STRIPE_SECRET_KEY:"']
    return " \\\n".join(lines + [f"  -d '{field}'" for field in fields]) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
