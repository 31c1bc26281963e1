"""The plot of the report: one panel of horizontal bars for each of the main rows."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
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
)
"""What the plot shows, when it was measured."""

COLUMNS = 3
TIMES = "\N{MULTIPLICATION SIGN}"
COLOURS = {"duplexio": "#0f766e", "c": "#9ca3af"}
OTHER = "#c7d2e0"
INK = "#1f2937"


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


def number(value: float) -> str:
    """Three significant digits, without exponents."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def draw(panels: Sequence[Panel], path: Path) -> str | None:
    """Draw the panels; return why it could not be done, or None."""
    if not panels:
        return f"none of {', '.join(ROWS)} was measured"
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

    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(4.3 * columns, 2.5 * rows), squeeze=False
    )
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.12)
    spaces = list(axes.flat)
    for panel, space in zip(panels, spaces, strict=False):
        _draw_panel(panel, space)
    for space in spaces[len(panels) :]:
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
    space.set_title(
        f"{textwrap.fill(panel.title, 44)}\n", loc="left", weight="bold", fontsize=10, color=INK
    )
    space.text(
        0, 1.02, panel.unit, transform=space.transAxes, fontsize=8, color="#6b7280", va="bottom"
    )
