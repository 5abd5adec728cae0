"""Stripe: all calls to its API, and the reading of its events."""
