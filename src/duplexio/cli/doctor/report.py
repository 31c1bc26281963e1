"""What ``duplexio doctor`` shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .findings import Finding, Level

__all__ = ["show", "show_json", "summary"]

_MARKS = {
    Level.GOOD: ("✓", "green"),
    Level.NOTE: ("·", "cyan"),
    Level.WARNING: ("!", "yellow"),
    Level.PROBLEM: ("✗", "bold red"),
}
_AREA = 15


def show(console: Console, finding: Finding) -> None:
    """Show a finding, and below it what to do."""
    mark, style = _MARKS[finding.level]
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=1)
    grid.add_column(width=_AREA)
    grid.add_column()
    grid.add_row(Text(mark, style), Text(finding.area, "bold"), Text(finding.text))
    if finding.advice:
        grid.add_row("", "", Text(f"→ {finding.advice}", "dim"))
    console.print(grid)


def summary(findings: Sequence[Finding]) -> str:
    """Count the findings.

    Example:
        >>> from duplexio.cli.doctor.findings import good, note
        >>> summary([good("CORS", "Fine."), note("Clock", "None.")])
        'No problems, no warnings.'
    """
    counts = Counter(finding.level for finding in findings)
    return (
        ", ".join(
            f"{counts[level] or 'no'} {name}{'' if counts[level] == 1 else 's'}"
            for level, name in ((Level.PROBLEM, "problem"), (Level.WARNING, "warning"))
        ).capitalize()
        + "."
    )


def show_json(url: str, findings: Sequence[Finding]) -> str:
    """Return the findings as JSON."""
    listed = [finding.as_dict() for finding in findings]
    return json.dumps({"url": url, "findings": listed}, indent=2)
