"""Cleaning what visitors type: nicknames, names of rooms, messages.

Nothing here makes text safe for HTML; the page shows it as text and never as markup. What is
removed is what could deceive a reader of plain text: control characters, characters that reverse or
hide others, and names that only look different.
"""

from __future__ import annotations

import re
import unicodedata

from .errors import ChatError
from .limits import Limits

__all__ = ["DEFAULT_ROOM", "clean_id", "clean_name", "clean_room", "clean_text", "name_key"]

#: Where visitors are who name no room.
DEFAULT_ROOM = "lobby"

# Control, format (which reorder or hide text), private, unassigned, surrogates, line separators.
_UNWANTED = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
_MARKS = {"Mn", "Me"}
# Marks on one letter; more than the languages of the world need reach into the lines above.
_MAX_MARKS = 3

_is_room = re.compile(r"[^\W_](?:[\w-]*[^\W_])?").fullmatch
_is_id = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
# RFC 3629 §3: a lone surrogate has no UTF-8.
_surrogates = re.compile("[\ud800-\udfff]")
# C0 and C1 controls but for tab and line feed; the embeddings, overrides and isolates of the
# bidirectional algorithm, which would reorder what is around them.
_hidden = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean_name(name: str, limits: Limits) -> str:
    """Return a nickname as it is shown.

    Args:
        name: What the visitor typed.
        limits: The limits.

    Raises:
        ChatError: When nothing is left of it, it is too long, or has a character that it may not.

    Example:
        >>> clean_name("  Ada   Lovelace ", Limits())
        'Ada Lovelace'
    """
    text = unicodedata.normalize("NFKC", name[: 16 * limits.name])
    kept = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in _MARKS else 0
        if marks > _MAX_MARKS:
            continue
        if character in "\t\r\n" or category == "Zs":
            kept.append(" ")
        elif category not in _UNWANTED:
            kept.append(character)
    text = " ".join("".join(kept).split())
    if not text:
        raise ChatError("name_empty", "Please choose a name of at least one visible character.")
    if len(text) > limits.name:
        raise ChatError(
            "name_too_long",
            f"The name has {len(text)} characters; {limits.name} at most are allowed.",
        )
    if ":" in text or text.startswith("*"):
        # Clients that read plain lines tell who speaks by these.
        raise ChatError(
            "name_bad", "A name cannot contain a colon, nor begin with an asterisk. Choose another."
        )
    return text


def name_key(name: str) -> str:
    """Return what two names share that people would take for the same.

    Example:
        >>> name_key("Straße") == name_key("STRASSE")
        True
    """
    return unicodedata.normalize("NFKC", name.casefold())


def clean_room(name: str, limits: Limits) -> str:
    """Return the name of a room: small letters, digits and hyphens.

    Args:
        name: What the visitor typed; an empty name is that of :data:`DEFAULT_ROOM`.
        limits: The limits.

    Raises:
        ChatError: When it is too long or has other characters.

    Example:
        >>> clean_room("#Tea Time", Limits())
        'tea-time'
    """
    text = unicodedata.normalize("NFKC", name[: 16 * limits.room]).strip().lstrip("#").casefold()
    text = "-".join(text.split())
    if not text:
        return DEFAULT_ROOM
    if len(text) > limits.room:
        raise ChatError(
            "room_too_long",
            f"The room's name has {len(text)} characters; {limits.room} at most are allowed.",
        )
    if not _is_room(text):
        raise ChatError(
            "room_bad",
            "A room's name has letters, digits and hyphens only, and begins and ends with"
            " a letter or a digit.",
        )
    return text


def clean_text(text: str, limits: Limits) -> str:
    """Return the text of a message as it is kept.

    Args:
        text: What the visitor typed.
        limits: The limits.

    Raises:
        ChatError: When it is empty or too long.

    Example:
        >>> clean_text("Hello!\\r\\n", Limits())
        'Hello!'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _hidden.sub("", _surrogates.sub("\ufffd", text)).strip("\n").rstrip()
    if not text.strip():
        raise ChatError("text_empty", "The message is empty.")
    if len(text) > limits.text:
        raise ChatError(
            "text_too_long",
            f"The message has {len(text):,} characters; {limits.text:,} at most are allowed."
            " Please shorten it or send it in parts.",
        )
    return text


def clean_id(value: str) -> str:
    """Return the id that a client gave its message.

    Args:
        value: The id.

    Raises:
        ChatError: When it is none.
    """
    if not _is_id(value):
        raise ChatError(
            "id_bad", "The id of a message has 1 to 64 of the characters A-Z, a-z, 0-9, _ and -."
        )
    return value
