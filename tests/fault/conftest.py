"""The same event loops as the tests of the WebSocket layer."""

from tests.websocket.conftest import no_proxy_variables, pytest_asyncio_loop_factories

__all__ = ["no_proxy_variables", "pytest_asyncio_loop_factories"]
