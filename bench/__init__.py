"""Benchmarks: `bin/bench`. Figures are ratios, because single ones belong to one machine."""
