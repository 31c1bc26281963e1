"""The life of workers, and what the supervisor says of it."""

import signal

import pytest

from duplexio.errors import UsageError
from duplexio.hosting.supervisor import Supervisor
from tests.hosting.programs import start
from tests.hosting.test_worker import serve, workers


def test_a_worker_that_cannot_start_ends_the_server():
    server = start(serve("app"), environ={"BROKEN_WORKER": "1"})
    assert server.wait() == 3
    server.process.stdout.close()
    assert "broken as it was told" in server.log
    assert "ended before it was ready (exit status 1), so the server ends" in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_all(number):
    with workers() as server:
        server.process.send_signal(number)
        assert server.wait() == 0
        assert server.log.count("Finished server process") == 2
        assert "Stopped supervisor process" in server.log


@pytest.mark.parametrize("count", [0, 4096])
def test_impossible_numbers_of_workers(count):
    with pytest.raises(UsageError, match="expected 1 to 4095"):
        Supervisor(object(), count)
