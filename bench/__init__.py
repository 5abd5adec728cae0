"""Benchmarks: `bin/bench`. Compare ratios: absolute figures are valid for one machine only."""
