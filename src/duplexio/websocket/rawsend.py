"""Write an output straight to a socket's descriptor.

The compiled form saves making a bytes object and a call of the event loop's transport for every
write. This Python form has nothing to save: it says that it is not available, and drivers then
write through the transport.
"""

from __future__ import annotations

from .kernel import Output

__all__ = ["AVAILABLE", "write_bytes", "write_output"]

#: Whether :func:`write_output` can be used.
AVAILABLE = False


def write_output(output: Output, fd: int) -> bool:
    """Write as much as the kernel takes now.

    Args:
        output: What to write; what was written is removed from it.
        fd: Descriptor of a connected socket to which nothing else is waiting to be written.

    Returns:
        Whether all was written.

    Raises:
        OSError: When the connection cannot be written to any more.
    """
    raise NotImplementedError("only the compiled form writes to descriptors")


def write_bytes(data: bytes, fd: int) -> int:
    """Write as much of some bytes as the kernel takes now.

    Args:
        data: What to write.
        fd: As for :func:`write_output`.

    Returns:
        How many bytes were written.

    Raises:
        OSError: When the connection cannot be written to any more.
    """
    raise NotImplementedError("only the compiled form writes to descriptors")
