"""Stripe: the one seam to its API, and its events as we read them."""
