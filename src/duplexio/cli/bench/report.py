"""Results as text and as JSON, live and at the end."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .run import Results, seconds_of

__all__ = ["PERCENTILES", "as_json", "duration", "live", "summary"]

#: What is shown of the latencies.
PERCENTILES = (50.0, 90.0, 99.0, 99.9)


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it.

    Example:
        >>> duration(0.0000421), duration(0.0123), duration(1.5)
        ('42 µs', '12.3 ms', '1.50 s')
    """
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.{1 if seconds >= 0.01 else 2}f} ms"
    return f"{seconds:.2f} s"


def live(results: Results) -> RenderableType:
    """Show a load that runs: how far it is, and the last interval."""
    plan = results.plan
    if results.phase == "opening":
        bar = ProgressBar(total=plan.connections, completed=results.connections, width=40)
        text = f"{results.connections:,} of {plan.connections:,} connections"
    else:
        passed = seconds_of(results.intervals)
        bar = ProgressBar(total=plan.duration, completed=passed, width=40)
        text = f"{passed:.0f} of {plan.duration:g} s"
        # The last may not be complete yet: the processes report one after the other.
        if len(results.intervals) > 1:
            interval = results.intervals[-2]
            per_second = interval.received / seconds_of([interval])
            text += f" · {interval.connections:,} connections · {per_second:,.0f} answers/s"
            if interval.latencies.count:
                middle, high = (duration(interval.latencies.percentile(p)) for p in (50, 99))
                text += f" · p50 {middle} · p99 {high}"
    lines: list[RenderableType] = [bar, Text(text)]
    if results.errors:
        lines.append(Text(f"{sum(results.errors.values()):,} errors", "red"))
    return Group(*lines)


def summary(results: Results) -> Table:
    """Show what was measured."""
    seconds = seconds_of(results.intervals) or 1.0
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    opened = f"{results.opened:,} of {results.plan.connections:,}"
    table.add_row("connections", f"{opened} in {duration(results.opening_seconds)}")
    table.add_row("sent", f"{results.sent:,} ({results.sent / seconds:,.0f} per second)")
    kind = "deliveries" if results.plan.answer == "deliveries" else "answers"
    table.add_row(kind, f"{results.received:,} ({results.received / seconds:,.0f} per second)")
    if results.latencies.count:
        table.add_row("latency, mean", duration(results.latencies.mean()))
        for percent in PERCENTILES:
            table.add_row(f"p{percent:g}", duration(results.latencies.percentile(percent)))
        table.add_row("largest", duration(results.latencies.percentile(100)))
    for error, times in results.errors.most_common(10):
        table.add_row(Text("error", "red"), f"{error} ({times:,} times)")
    return table


def as_json(results: Results) -> dict[str, Any]:
    """Return the results for programs; times are in seconds."""
    latencies = results.latencies
    return {
        "plan": results.plan.as_dict(),
        "processes": results.processes,
        "connections": results.opened,
        "opening_seconds": results.opening_seconds,
        "seconds": seconds_of(results.intervals),
        "sent": results.sent,
        "received": results.received,
        "latency": {
            "count": latencies.count,
            "mean": latencies.mean(),
            **{f"p{percent:g}": latencies.percentile(percent) for percent in PERCENTILES},
            "max": latencies.percentile(100),
        },
        "errors": dict(results.errors),
        "intervals": [
            {
                "time": seconds_of(results.intervals[: i + 1]),
                "connections": interval.connections,
                "sent": interval.sent,
                "received": interval.received,
                "p50": interval.latencies.percentile(50),
                "p99": interval.latencies.percentile(99),
            }
            for i, interval in enumerate(results.intervals)
        ],
    }
