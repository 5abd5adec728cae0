"""Simulate Stripe offline: an HTTP server with Stripe's payments API, its events and its webhooks.

It is one asyncio process with one in-memory `World`. The package imports nothing of the service,
so that an error in the service's code cannot be repeated here and stay hidden.
"""
