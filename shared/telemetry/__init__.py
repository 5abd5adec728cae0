"""Telemetry: log lines, traces and counts of this process."""
