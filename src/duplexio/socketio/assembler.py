"""Text and the attachments that follow it, put together."""

from __future__ import annotations

from .exceptions import PacketError
from .packets import Head

__all__ = ["Assembler"]


class Assembler:
    """A packet whose attachments are still coming.

    Args:
        head: The head of the packet.
        text: Holds its JSON, at ``head.offset``.
        limit: Attachments that a packet may have.

    Attributes:
        head: The head.
        text: The text.
        attachments: What has come so far.

    Raises:
        PacketError: There are to be more than allowed.

    Example:
        >>> from .packets import parse_head
        >>> text = '51-["picture",{"_placeholder":true,"num":0}]'
        >>> assembler = Assembler(parse_head(text, 0), text, 10)
        >>> assembler.add(b"x")
        True
    """

    __slots__ = ("attachments", "head", "text")

    def __init__(self, head: Head, text: str, limit: int) -> None:
        if head.attachments > limit:
            error = PacketError(
                f"a packet has {head.attachments} attachments; max_attachments={limit} is the limit"
            )
            error.limit = "max_attachments"
            raise error
        self.head = head
        self.text = text
        self.attachments: list[bytes | None] = []

    @property
    def complete(self) -> bool:
        """Whether all attachments are there; with none, it is from the beginning."""
        return len(self.attachments) >= self.head.attachments

    def add(self, data: bytes) -> bool:
        """Take an attachment.

        Args:
            data: The attachment.

        Returns:
            Whether it was the last.
        """
        self.attachments.append(data)
        return self.complete
