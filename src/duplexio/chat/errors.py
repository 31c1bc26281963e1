"""What goes wrong in a chat room, in words for the person who is told."""

from __future__ import annotations

from ..errors import DuplexioError

__all__ = ["ChatError", "StoreError"]


class ChatError(DuplexioError):
    """A request of a visitor that is refused; the visitor reads its text.

    Args:
        code: Which rule it is, for programs: ``"name_taken"``, ``"too_fast"`` and so on.
        text: What happened and what to do, a sentence.
        retry: Seconds after which the same request may succeed; ``None`` when it will not.
    """

    def __init__(self, code: str, text: str, retry: float | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.retry = retry


class StoreError(DuplexioError):
    """The file with the history cannot be used; the message says why and what to do."""
