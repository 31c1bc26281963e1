import logging

import pytest

from duplexio.websocket import sync as websocket
from duplexio.websocket.sync import create_connection


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture
def lines():
    handler = Lines()
    websocket.enableTrace(True, handler=handler)
    yield handler.lines
    websocket.enableTrace(False)


def test_everything_is_shown(echo_url, lines):
    assert websocket.isEnabledForTrace()
    assert websocket.isEnabledForDebug()
    assert websocket.isEnabledForError()
    with create_connection(echo_url, timeout=10, get_mask_key=lambda count: b"abcd") as ws:
        ws.send("hello")
        assert ws.recv() == "hello"
        assert ws.connected
    text = "\n".join(lines)
    assert "--- request header ---" in text
    assert "GET / HTTP/1.1" in text
    assert "--- response header ---" in text
    assert "101 Switching Protocols" in text
    assert "++Sent decoded: fin=1 opcode=1 data=b'hello'" in text
    assert "++Rcv decoded: fin=1 opcode=1 data=b'hello'" in text
    assert r"++Rcv raw: b'\x81\x05hello'" in text


def test_handlers_do_not_pile_up(lines):
    logger = logging.getLogger("websocket")
    count = len(logger.handlers)
    websocket.enableTrace(True, handler=Lines())
    websocket.enableTrace(True, level="ERROR")
    assert len(logger.handlers) == count
    assert logger.level == logging.ERROR


def test_switched_off_all_is_as_before(echo_url, lines):
    websocket.enableTrace(False)
    assert not websocket.isEnabledForTrace()
    assert logging.getLogger("websocket").level == logging.NOTSET
    create_connection(echo_url, timeout=10).close()
    assert lines == []
