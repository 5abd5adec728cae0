"""Slowness: `bin/slow`. Peers and clients that take their time, and what everybody else notices."""
