"""Calling the functions of an application with the arguments that they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from .trace import logger

__all__ = ["Callback", "Callbacks"]

#: A function of an application.
Callback = Callable[..., Any]


class _Form(NamedTuple):
    """How a function is called: with the application first or not, and with which arguments."""

    with_app: bool
    with_arguments: bool


class Callbacks:
    """Calls an application's functions.

    A function is given the application and then its arguments: ``on_message(ws, message)``. A
    method that a subclass defines has the application already, as ``self``, and is given the
    arguments alone: ``on_message(self, message)``. Either gets the other form when its signature
    asks for that, so that bound methods of other objects may have ``ws`` or not, and ``on_close``
    may do without code and reason.

    Args:
        app: The application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._forms: dict[str, tuple[Callback, _Form]] = {}

    def defined(self, name: str) -> bool:
        """Tell whether the application has a function of this name."""
        return getattr(self._app, name) is not None

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function, if there is one; what it raises is logged and given to ``on_error``.

        Args:
            name: Its name.
            arguments: What it is given beside the application.
        """
        function = getattr(self._app, name)
        if function is None:
            return
        known = self._forms.get(name)
        if known is None or known[0] != function:
            form = self._form(name, function, len(arguments))
            self._forms[name] = (function, form)
        else:
            form = known[1]
        try:
            if form.with_app:
                function(self._app, *(arguments if form.with_arguments else ()))
            else:
                function(*(arguments if form.with_arguments else ()))
        except Exception as exc:
            logger.error(f"error from callback {function}: {exc}")
            if name != "on_error":
                self.call("on_error", exc)

    def _form(self, name: str, function: Callback, count: int) -> _Form:
        """Find out how a function wants to be called."""
        forms = [_Form(True, True), _Form(False, True)]
        if name == "on_close":
            forms += [_Form(True, False), _Form(False, False)]
        if name not in vars(self._app):
            # A method of the class: the form without the application comes first.
            forms = [form._replace(with_app=not form.with_app) for form in forms]
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            return forms[0]
        for form in forms:
            given = form.with_app + (count if form.with_arguments else 0)
            try:
                signature.bind(*[None] * given)
            except TypeError:
                continue
            return form
        # None fits: the first, whose TypeError says what was expected.
        return forms[0]
