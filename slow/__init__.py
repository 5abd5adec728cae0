"""Slowness: `bin/slow`. Slow peers and clients, and their effect on all other callers."""
