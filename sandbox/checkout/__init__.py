"""Checkout sessions and their line items."""
