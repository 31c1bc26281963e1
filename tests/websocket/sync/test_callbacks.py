import logging

import pytest

from duplexio.websocket.sync import WebSocketApp
from duplexio.websocket.sync.callbacks import Callbacks


class Recorder:
    """An object whose bound methods are given to an application."""

    def __init__(self):
        self.calls = []

    def with_app(self, ws, message):
        self.calls.append((ws, message))

    def without_app(self, message):
        self.calls.append(message)

    def close_with_all(self, ws, code, reason):
        self.calls.append((ws, code, reason))

    def close_with_app(self, ws):
        self.calls.append(ws)

    def close_alone(self):
        self.calls.append("closed")

    def anything(self, *arguments):
        self.calls.append(arguments)


def app_with(**functions):
    app = WebSocketApp("ws://localhost/", **functions)
    return app, Callbacks(app)


class TestFunctions:
    def test_function_gets_the_application(self):
        calls = []
        app, callbacks = app_with(on_message=lambda ws, message: calls.append((ws, message)))
        callbacks.call("on_message", "x")
        assert calls == [(app, "x")]

    def test_function_assigned_later(self):
        calls = []
        app, callbacks = app_with()
        app.on_open = lambda ws: calls.append(ws)
        callbacks.call("on_open")
        app.on_open = lambda: calls.append("second")
        callbacks.call("on_open")
        assert calls == [app, "second"]

    def test_builtin(self):
        calls: list[object] = []
        _, callbacks = app_with(on_message=calls.append)
        callbacks.call("on_message", "x")
        assert calls == ["x"]

    @pytest.mark.parametrize("name", ["on_open", "on_message", "on_close"])
    def test_missing_function(self, name):
        app_with()[1].call(name, None, None)


class TestBoundMethods:
    @pytest.mark.parametrize(
        ("method", "expected"),
        [("with_app", "ws, x"), ("without_app", "x"), ("anything", "ws, x")],
    )
    def test_message(self, method, expected):
        recorder = Recorder()
        app, callbacks = app_with(on_message=getattr(recorder, method))
        callbacks.call("on_message", "x")
        assert recorder.calls == [(app, "x") if expected == "ws, x" else "x"]

    def test_close(self):
        recorder = Recorder()
        for method in ("close_with_all", "close_with_app", "close_alone"):
            app, callbacks = app_with(on_close=getattr(recorder, method))
            callbacks.call("on_close", 1000, "bye")
            recorder.calls.append(app)
        first, one, second, two, third, _ = recorder.calls
        assert first == (one, 1000, "bye")
        assert second is two
        assert third == "closed"


class TestSubclass:
    def test_methods(self):
        calls = []

        class App(WebSocketApp):
            def on_open(self):
                calls.append("open")

            def on_message(self, message):
                calls.append(message)

            def on_error(self, error):
                calls.append(error)

            def on_close(self):
                calls.append("close")

        callbacks = Callbacks(App("ws://localhost/"))
        callbacks.call("on_open")
        callbacks.call("on_message", "x")
        callbacks.call("on_error", "error")
        callbacks.call("on_close", 1000, "bye")
        assert calls == ["open", "x", "error", "close"]

    def test_close_with_code_and_reason(self):
        calls = []

        class App(WebSocketApp):
            def on_close(self, status, msg):
                calls.append((status, msg))

        Callbacks(App("ws://localhost/")).call("on_close", 1000, "bye")
        assert calls == [(1000, "bye")]

    def test_methods_that_expect_the_application_once_more(self):
        calls: list[tuple[object, ...]] = []

        class App(WebSocketApp):
            def __init__(self):
                super().__init__("ws://localhost/", on_message=self.on_message)

            def on_message(self, ws, message):
                calls.append((ws, message))

            def on_close(self, ws, status, msg):
                calls.append((ws, status, msg))

        app = App()
        callbacks = Callbacks(app)
        callbacks.call("on_message", "x")
        callbacks.call("on_close", 1000, "bye")
        assert calls == [(app, "x"), (app, 1000, "bye")]

    def test_what_the_constructor_is_given_comes_first(self):
        calls = []

        class App(WebSocketApp):
            def on_message(self, message):
                calls.append("method")

        app = App("ws://localhost/", on_message=lambda ws, message: calls.append("function"))
        Callbacks(app).call("on_message", "x")
        assert calls == ["function"]


class TestErrors:
    def test_an_error_goes_to_on_error(self, caplog):
        errors = []
        _, callbacks = app_with(
            on_message=lambda ws, message: 1 / 0, on_error=lambda ws, error: errors.append(error)
        )
        callbacks.call("on_message", "x")
        assert [type(error) for error in errors] == [ZeroDivisionError]
        assert "division by zero" in caplog.text

    def test_an_error_in_on_error_goes_nowhere(self, caplog):
        _, callbacks = app_with(on_error=lambda ws, error: 1 / 0)
        callbacks.call("on_error", ValueError("first"))
        assert "division by zero" in caplog.text

    def test_a_function_that_takes_nothing_of_it(self, caplog):
        caplog.set_level(logging.ERROR, "websocket")
        _, callbacks = app_with(on_message=lambda a, b, c, d: None)
        callbacks.call("on_message", "x")
        assert "missing 2 required positional arguments" in caplog.text

    @pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
    def test_what_ends_the_program_is_not_held_back(self, fatal):
        def on_message(ws, message):
            raise fatal

        _, callbacks = app_with(on_message=on_message)
        with pytest.raises(fatal):
            callbacks.call("on_message", "x")
