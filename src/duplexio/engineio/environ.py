"""The ``environ`` of a request, filled when somebody looks into it.

Handlers of ``connect`` are given it, and few look. It is a dictionary of some 7 KB, which would be
most of what an idle client takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Environ"]

# The encoder of the module json asks a dictionary for its items only where there are some, and
# counts them without asking.
_PLACE = {"": None}


class Environ(dict[str, Any]):
    """A dictionary that is filled at its first use.

    Args:
        make: Returns what it is filled with.
        filled: Called with it when it is.

    Example:
        >>> environ = Environ(lambda: {"REQUEST_METHOD": "GET"}, lambda environ: None)
        >>> environ["REQUEST_METHOD"], "HTTP_COOKIE" in environ
        ('GET', False)
    """

    __slots__ = ("_filled", "_make")

    def __init__(
        self, make: Callable[[], dict[str, Any]], filled: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__(_PLACE)
        self._make: Callable[[], dict[str, Any]] | None = make
        self._filled: Callable[[dict[str, Any]], None] | None = filled

    def fill(self) -> None:
        """Fill it, if that was not done."""
        make, self._make = self._make, None
        if make is not None:
            dict.clear(self)
            dict.update(self, make())
            filled, self._filled = self._filled, None
            if filled is not None:
                filled(self)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def _filling(name: str) -> Callable[..., Any]:
    original = getattr(dict, name)

    def method(self: Environ, *args: Any, **kwargs: Any) -> Any:
        self.fill()
        return original(self, *args, **kwargs)

    method.__name__ = name
    return method


for _name in (
    *("__contains__", "__delitem__", "__eq__", "__getitem__", "__ior__", "__iter__", "__len__"),
    *("__ne__", "__or__", "__repr__", "__reversed__", "__ror__", "__setitem__", "clear", "copy"),
    *("get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"),
):
    setattr(Environ, _name, _filling(_name))
