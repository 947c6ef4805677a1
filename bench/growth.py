"""A picture of what a check costs in fleets of different sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pygal

from bench.check_cost import Cost


def draw(by_count: Mapping[int, Sequence[Cost]], file: Path) -> None:
    """One line for each way, over the number of targets."""
    ways = list(dict.fromkeys(cost.way for costs in by_count.values() for cost in costs))
    chart = pygal.Line(
        title="CPU ms a check", x_title="targets", logarithmic=True, legend_at_bottom=True,
        legend_at_bottom_columns=1, js=(),
    )  # fmt: skip
    chart.x_labels = [f"{count:,}" for count in by_count]
    for way in ways:
        found = [{cost.way: cost.cpu_ms for cost in costs} for costs in by_count.values()]
        chart.add(way, [costs.get(way) for costs in found])
    chart.render_to_file(str(file))
