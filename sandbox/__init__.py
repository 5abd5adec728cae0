"""Play Stripe offline: an HTTP server with Stripe's payments API, its events and its webhooks.

One asyncio process, one in-memory `World`. The package imports nothing of the service it is
used to develop, so that it can be wrong only about Stripe, never in agreement with our own bugs.
"""
