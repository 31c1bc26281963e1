"""What leads a server's session from one phase to another."""

from __future__ import annotations

from .channel import CLOSED, CLOSING, OPENING, POLLING, PROBED, PROBING, WEBSOCKET

__all__ = [
    "CANDIDATE",
    "CANDIDATE_GONE",
    "END",
    "LINGER",
    "OPEN_POLLING",
    "OPEN_WEBSOCKET",
    "PROBE",
    "TRANSITIONS",
    "UPGRADE",
]

# What moves it from one to the other.
OPEN_POLLING = "open polling"
OPEN_WEBSOCKET = "open websocket"
CANDIDATE = "candidate"  # a WebSocket comes with the id of the session
PROBE = "probe"  # it says "2probe"
UPGRADE = "upgrade"  # it says "5"
CANDIDATE_GONE = "candidate gone"  # it says something else, or ends, or takes too long
LINGER = "linger"  # we close, and no poll waits that could be told
END = "end"

#: Phase and event to the next phase. What is not here does not happen: the event is refused.
TRANSITIONS = {
    (OPENING, OPEN_POLLING): POLLING,
    (OPENING, OPEN_WEBSOCKET): WEBSOCKET,
    (OPENING, END): CLOSED,
    (POLLING, CANDIDATE): PROBING,
    (POLLING, LINGER): CLOSING,
    (POLLING, END): CLOSED,
    (PROBING, PROBE): PROBED,
    (PROBING, CANDIDATE_GONE): POLLING,
    (PROBING, LINGER): CLOSING,
    (PROBING, END): CLOSED,
    (PROBED, PROBE): PROBED,
    (PROBED, UPGRADE): WEBSOCKET,
    (PROBED, CANDIDATE_GONE): POLLING,
    (PROBED, LINGER): CLOSING,
    (PROBED, END): CLOSED,
    (WEBSOCKET, END): CLOSED,
    # A client whose probe was answered polls no more: it learns of the close on its WebSocket.
    (CLOSING, UPGRADE): CLOSED,
    (CLOSING, CANDIDATE_GONE): CLOSING,
    (CLOSING, END): CLOSED,
}
