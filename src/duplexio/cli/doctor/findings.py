"""What ``duplexio doctor`` finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

__all__ = ["Finding", "Level", "good", "note", "problem", "warning"]


class Level(StrEnum):
    """How bad a finding is."""

    GOOD = "good"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """Something that was found.

    Attributes:
        level: How bad it is.
        area: What it concerns, in a word or two.
        text: What was found.
        advice: What to do about it; empty where there is nothing to do.
    """

    level: Level
    area: str
    text: str
    advice: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as JSON shows it."""
        return asdict(self)


def good(area: str, text: str) -> Finding:
    """Make a finding that is as it should be."""
    return Finding(Level.GOOD, area, text)


def note(area: str, text: str, advice: str = "") -> Finding:
    """Make a finding that is worth knowing."""
    return Finding(Level.NOTE, area, text, advice)


def warning(area: str, text: str, advice: str) -> Finding:
    """Make a finding that may hurt."""
    return Finding(Level.WARNING, area, text, advice)


def problem(area: str, text: str, advice: str) -> Finding:
    """Make a finding that keeps clients from connecting, or from staying."""
    return Finding(Level.PROBLEM, area, text, advice)
