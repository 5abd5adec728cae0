"""The HTTP door: parse, call `shared`, shape the answer."""
