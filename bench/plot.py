"""The plots of the report: horizontal bars for each of the main rows, lines for each series."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROWS = (
    "echo-32-1",
    "echo-32-16",
    "echo-8k-1",
    "connect",
    "idle",
    "starlette",
    "sio-ack-1",
    "sio-ack-16",
    "sio-broadcast",
    "sio-polling",
    "sio-connect",
    "sio-idle",
    "sio-client-ack",
    "sio-client-ack-16",
    "sio-client-event",
    "sio-client-idle",
)
"""What the plot shows, when it was measured."""

COLUMNS = 3
TIMES = "\N{MULTIPLICATION SIGN}"
COLOURS = {"duplexio": "#0f766e", "c": "#9ca3af"}
LINE_COLOURS = {**COLOURS, "node": "#b45309"}
OTHER = "#c7d2e0"
INK = "#1f2937"
CHART_POINTS, LABEL_POINTS = 140, 10
"""Height of a chart, about, and of a label in it."""


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    ratio: float | None
    family: str


@dataclass(frozen=True)
class Panel:
    title: str
    unit: str
    bars: list[Bar]


@dataclass(frozen=True)
class Line:
    label: str
    family: str
    points: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Chart:
    title: str
    unit: str
    axis: str
    lines: list[Line]


def number(value: float) -> str:
    """Three significant digits, without exponents."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def draw(panels: Sequence[Panel], path: Path) -> str | None:
    """Draw the panels; return why it could not be done, or None."""
    if not panels:
        return f"none of {', '.join(ROWS)} was measured"
    return _draw_grid(panels, _draw_panel, 2.5, path)


def draw_lines(charts: Sequence[Chart], path: Path) -> str | None:
    """Draw how the cost grows; return why it could not be done, or None."""
    if not charts:
        return "no series was measured"
    return _draw_grid(charts, _draw_chart, 3.0, path)


def _draw_grid(
    parts: Sequence[Any], draw_part: Callable[[Any, Any], None], height: float, path: Path
) -> str | None:
    try:
        import matplotlib
    except ImportError:
        return "matplotlib is not installed"
    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {
            "svg.hashsalt": "duplexio",  # the same numbers give the same file: no random ids
            "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
            "font.family": ["DejaVu Sans", "sans-serif"],
            "font.size": 9,
            "text.color": INK,
        }
    )
    from matplotlib import pyplot

    columns = min(COLUMNS, len(parts))
    rows = -(-len(parts) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(4.3 * columns, height * rows), squeeze=False
    )
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.12)
    spaces = list(axes.flat)
    for part, space in zip(parts, spaces, strict=False):
        draw_part(part, space)
    for space in spaces[len(parts) :]:
        space.set_axis_off()
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)
    return None


def _draw_panel(panel: Panel, space: Any) -> None:
    bars = sorted(panel.bars, key=lambda bar: bar.value, reverse=True)
    longest = bars[0].value
    colours = [COLOURS.get(bar.family, OTHER) for bar in bars]
    space.barh(range(len(bars)), [bar.value for bar in bars], color=colours, height=0.72)
    for position, bar in enumerate(bars):
        label = number(bar.value)
        if bar.ratio is not None and bar.family != "c":
            label += f" ({bar.ratio:.1f} {TIMES})"
        weight = "bold" if bar.family == "duplexio" else "normal"
        space.text(bar.value + longest * 0.015, position, label, va="center", weight=weight)
    space.set_yticks(range(len(bars)), [bar.label.replace(", ", ",\n") for bar in bars])
    for tick, bar in zip(space.get_yticklabels(), bars, strict=True):
        tick.set_color(INK)
        tick.set_weight("bold" if bar.family == "duplexio" else "normal")
    space.set_xlim(0, longest * 1.3)
    space.set_xticks([])
    space.tick_params(left=False)
    for side in space.spines.values():
        side.set_visible(False)
    _entitle(space, panel.title, panel.unit)


def _draw_chart(chart: Chart, space: Any) -> None:
    values = [value for line in chart.lines for _, value in line.points]
    # Only what spans much is drawn on a logarithmic scale: others are to begin at 0.
    if max(values) > 20 * min(values):
        low, high = min(values) / 1.5, max(values) * 1.5
        ends = [math.log(line.points[-1][1] / low, high / low) for line in chart.lines]
        space.set_yscale("log")
    else:
        low, high = 0.0, max(values) * 1.15
        ends = [line.points[-1][1] / high for line in chart.lines]
    space.set_ylim(low, high)
    for line, shift in zip(chart.lines, _apart(ends), strict=True):
        ours = line.family == "duplexio"
        across, up = zip(*line.points, strict=True)
        colour = LINE_COLOURS.get(line.family, INK)
        width = 2 if ours else 1.3
        space.plot(across, up, marker="o", markersize=3.5, color=colour, linewidth=width)
        space.annotate(
            line.label,
            (across[-1], up[-1]),
            xytext=(6, shift),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=colour,
            weight="bold" if ours else "normal",
        )
    ticks = sorted({across for line in chart.lines for across, _ in line.points})
    space.set_xscale("log")
    space.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    space.set_xticks([], minor=True)
    space.set_xlim(ticks[0] / 1.3, ticks[-1] * (ticks[-1] / ticks[0]) ** 0.35)
    space.set_xlabel(chart.axis, color=INK)
    space.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    space.tick_params(colors=INK, labelsize=8)
    for side in ("top", "right"):
        space.spines[side].set_visible(False)
    _entitle(space, chart.title, chart.unit)


def _apart(ends: Sequence[float]) -> list[float]:
    """Return how many points to shift labels up that stand at these shares of the height."""
    shifts = [0.0] * len(ends)
    free = 0.0
    for i in sorted(range(len(ends)), key=ends.__getitem__):
        at = ends[i] * CHART_POINTS
        shifts[i] = max(free - at, 0)
        free = at + shifts[i] + LABEL_POINTS
    return shifts


def _entitle(space: Any, title: str, unit: str) -> None:
    space.set_title(
        f"{textwrap.fill(title, 38)}\n", loc="left", weight="bold", fontsize=10, color=INK
    )
    space.text(0, 1.02, unit, transform=space.transAxes, fontsize=8, color="#6b7280", va="bottom")
