"""A picture of what a check costs in fleets of different sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotext

from bench.check_cost import Cost

WIDTH, HEIGHT = 100, 28


def drawn(by_count: Mapping[int, Sequence[Cost]]) -> str:
    """CPU milliseconds a check over the number of targets, a line for each way, as text."""
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(WIDTH, HEIGHT)
    plotext.title("CPU ms a check")
    plotext.xscale("log")
    plotext.yscale("log")
    for way in dict.fromkeys(cost.way for costs in by_count.values() for cost in costs):
        found = [
            (count, cost.cpu_ms) for count, costs in by_count.items() for cost in costs if cost.way == way
        ]
        plotext.plot(*zip(*found, strict=True), label=way)
    return str(plotext.uncolorize(plotext.build()))
