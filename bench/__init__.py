"""Benchmarks: what a check costs, as ratios against named alternatives in the same run."""
