"""`python -m worker.handlers [--thin] [--curl URL]`: the event types to enable at Stripe."""

from __future__ import annotations

import argparse
import json
import sys

from shared.stripe.gateway import API_VERSION
from worker.registry import handled_types, thin_types


def main(arguments: list[str]) -> None:
    """Print the types, one a line, or the request that creates a destination for them at Stripe."""
    parser = argparse.ArgumentParser(
        prog="bin/stripe-events", description="Print the event types to enable at Stripe."
    )
    parser.add_argument(
        "--thin", action="store_true", help="for a destination of thin events, not of snapshots"
    )
    parser.add_argument(
        "--curl", metavar="URL", help="print the curl command that creates the endpoint at this URL"
    )
    options = parser.parse_args(arguments)
    types = thin_types() if options.thin else handled_types()
    if options.curl is None:
        sys.stdout.write("\n".join(types) + "\n")
    else:
        sys.stdout.write((thin_request if options.thin else request_for)(options.curl))


def request_for(url: str) -> str:
    """Return the curl command that creates a webhook endpoint at a URL, in our API version."""
    fields = [f"url={url}", f"api_version={API_VERSION}"]
    fields += [f"enabled_events[]={event_type}" for event_type in handled_types()]
    lines = ['curl https://api.stripe.com/v1/webhook_endpoints -u "$STRIPE_SECRET_KEY:"']
    return " \\\n".join(lines + [f"  -d '{field}'" for field in fields]) + "\n"


def thin_request(url: str) -> str:
    """Return the curl command that creates a destination of thin events at a URL."""
    body = {
        "name": "billing",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": thin_types(),
        "webhook_endpoint": {"url": url},
    }
    lines = [
        "curl https://api.stripe.com/v2/core/event_destinations",
        '  -H "Authorization: Bearer $STRIPE_SECRET_KEY"',
        f"  -H 'Stripe-Version: {API_VERSION}'",
        "  -H 'Content-Type: application/json'",
        f"  -d '{json.dumps(body)}'",
    ]
    return " \\\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
