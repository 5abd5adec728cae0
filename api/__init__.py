"""The HTTP API: parse requests, call `shared`, build answers."""
