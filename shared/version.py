"""The version of this service, for its contract and its command line."""

VERSION = "0.1.0"
