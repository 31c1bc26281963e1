"""Results as a web page by itself: no script, nothing loaded."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10

from .report import PERCENTILES, duration
from .run import Results, seconds_of

__all__ = ["page"]

_WIDTH, _HEIGHT = 720, 220
_LEFT, _BOTTOM, _TOP = 64, 28, 12

_STYLE = """
:root { color-scheme: light dark; --line: #2563eb; --other: #dc2626; --rule: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .15rem 1rem .15rem 0; text-align: left; }
td { font-variant-numeric: tabular-nums; } svg { width: 100%; height: auto; }
svg text { font-size: 11px; fill: currentColor; } .rule { stroke: var(--rule); }
.line { fill: none; stroke: var(--line); stroke-width: 1.5; } .bar { fill: var(--line); }
.second { stroke: var(--other); } .note { opacity: .7; }
"""


def page(results: Results) -> str:
    """Return the results as HTML.

    Args:
        results: What was measured.
    """
    plan = results.plan
    times = [seconds_of(results.intervals[: i + 1]) for i in range(len(results.intervals))]
    rates = [i.received / seconds_of([i]) for i in results.intervals]
    sections = [
        f"<h1>Load on {escape(plan.url)}</h1>",
        f"<p class=note>{escape(_describe(results))}</p>",
        _table(results),
        "<h2>Answers per second</h2>",
        _lines(times, [rates], lambda value: f"{value:,.0f}"),
    ]
    if results.latencies.count:
        middle = [i.latencies.percentile(50) for i in results.intervals]
        high = [i.latencies.percentile(99) for i in results.intervals]
        sections += [
            "<h2>Latency over time: p50, and p99 in red</h2>",
            _lines(times, [middle, high], duration),
            "<h2>How the latencies are spread</h2>",
            _spread(results),
        ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Load on {escape(plan.url)}</title><style>{_STYLE}</style>"
        + "\n".join(sections)
        + "</html>\n"
    )


def _describe(results: Results) -> str:
    plan = results.plan
    spoken = "Socket.IO" if plan.socketio else "WebSocket"
    pace = (
        f"{plan.rate:,.0f} messages per second"
        if plan.rate is not None
        else f"{plan.in_flight} in flight on each"
    )
    return (
        f"{spoken}, {results.opened:,} connections in {results.processes} processes, {pace}, "
        f"{plan.payload:,} bytes{' of binary' if plan.binary else ''}, "
        f"{seconds_of(results.intervals):g} seconds."
    )


def _table(results: Results) -> str:
    seconds = seconds_of(results.intervals) or 1.0
    rows = [
        ("Connections", f"{results.opened:,} of {results.plan.connections:,}"),
        ("Sent", f"{results.sent:,}"),
        ("Answers", f"{results.received:,}"),
        ("Per second", f"{results.received / seconds:,.0f}"),
    ]
    if results.latencies.count:
        rows.append(("Latency, mean", duration(results.latencies.mean())))
        rows += [(f"p{p:g}", duration(results.latencies.percentile(p))) for p in PERCENTILES]
    rows += [
        ("Error", f"{error} ({times:,} times)") for error, times in results.errors.most_common(10)
    ]
    cells = "".join(f"<tr><th>{escape(a)}<td>{escape(b)}" for a, b in rows)
    return f"<table>{cells}</table>"


def _frame(body: str, top: float, show: object, foot: Sequence[tuple[float, str]]) -> str:
    """Draw axes around a plot."""
    assert callable(show)
    rules = []
    for part in (0.0, 0.5, 1.0):
        y = _HEIGHT - _BOTTOM - part * (_HEIGHT - _BOTTOM - _TOP)
        rules.append(
            f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{show(part * top)}</text>'
        )
    labels = [
        f'<text x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{text}</text>'
        for x, text in foot
    ]
    inside = "".join([*rules, body, *labels])
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{inside}</svg>'


def _lines(times: Sequence[float], series: Sequence[Sequence[float]], show: object) -> str:
    """Draw values over time."""
    top = max((max(values, default=0) for values in series), default=0) or 1
    last = max(times, default=1)
    paths = []
    for number, values in enumerate(series):
        points = " ".join(
            f"{_LEFT + time / last * (_WIDTH - _LEFT - 8):.1f},"
            f"{_HEIGHT - _BOTTOM - value / top * (_HEIGHT - _BOTTOM - _TOP):.1f}"
            for time, value in zip(times, values, strict=True)
        )
        paths.append(f'<polyline class="line{" second" * bool(number)}" points="{points}"/>')
    foot = [
        (_LEFT + part * (_WIDTH - _LEFT - 8), f"{part * last:.1f} s") for part in (0.25, 0.5, 0.75)
    ]
    return _frame("".join(paths), top, show, foot)


def _spread(results: Results) -> str:
    """Draw how often each latency was seen, on a scale that doubles."""
    latencies = results.latencies
    low = max(latencies.percentile(0.1) / 1.5, 1e-6)
    high = max(latencies.percentile(99.99) * 1.2, low * 2)
    count = 60
    step = (log10(high) - log10(low)) / count
    edges = [10 ** (log10(low) + i * step) for i in range(count)]
    bars = latencies.bars(edges)
    top = max(bars) or 1
    width = (_WIDTH - _LEFT) / count
    drawn = "".join(
        f'<rect class="bar" x="{_LEFT + i * width:.1f}" width="{width - 1:.1f}"'
        f' y="{_HEIGHT - _BOTTOM - times / top * (_HEIGHT - _BOTTOM - _TOP):.1f}"'
        f' height="{times / top * (_HEIGHT - _BOTTOM - _TOP):.1f}"/>'
        for i, times in enumerate(bars)
    )
    foot = [(_LEFT + i * width, duration(edges[i])) for i in (5, 20, 35, 50)]
    return _frame(drawn, top, lambda value: f"{value:,.0f}", foot)
