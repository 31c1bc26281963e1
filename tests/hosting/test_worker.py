"""Several workers without sticky sessions, as `duplexio serve --workers` starts them."""

import asyncio
import os
import signal
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from duplexio.engineio.ids import owner_of
from tests.hosting.programs import Certificates, receive_exactly, receive_until, running

APPS = "tests.hosting.worker_apps"
SESSIONS = 8


def serve(app, *flags):
    return ["duplexio.cli", "serve", f"{APPS}:{app}", "--port", "0", "--workers", "2", *flags]


def workers(app="app", *flags, **kwargs):
    return running(serve(app, *flags), ready=r"All 2 workers are ready", **kwargs)


class Client:
    """A connection that is kept, on which requests follow one another."""

    def __init__(self, server, path="/engine.io/"):
        self.sock = server.socket()
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def send(self, method, query, body=b""):
        head = f"{method} {self.path}?{query} HTTP/1.1\r\nHost: localhost\r\n"
        if method == "POST":
            head += f"Content-Length: {len(body)}\r\n"
        self.sock.sendall(head.encode() + b"\r\n" + body)

    def receive(self):
        head, rest = receive_until(self.sock, b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        (length,) = (int(x.split(b":")[1]) for x in lines if x.startswith(b"content-length"))
        return int(head.split(b" ")[1]), receive_exactly(self.sock, length, rest)

    def request(self, method, query, body=b""):
        self.send(method, query, body)
        return self.receive()


def request(server, method, query, body=b"", path="/engine.io/"):
    """A request on a new connection."""
    with Client(server, path) as client:
        return client.request(method, query, body)


def open_session(server, protocol=4, path="/engine.io/"):
    status, body = request(server, "GET", f"EIO={protocol}&transport=polling", path=path)
    assert status == 200, body
    assert b'"sid":"' in body
    return body.partition(b'"sid":"')[2].partition(b'"')[0].decode()


def open_on_both(server, protocol=4, path="/engine.io/"):
    """Open sessions until each worker has one; return one of each."""
    found = {}
    deadline = time.monotonic() + 20
    while len(found) < 2:
        sid = open_session(server, protocol, path)
        found.setdefault(owner_of(sid).worker, sid)
        assert time.monotonic() < deadline, "one of the workers gets no connections"
    return [found[0], found[1]]


def polling(sid, protocol=4):
    return f"EIO={protocol}&transport=polling&sid={sid}"


@pytest.fixture(scope="module", params=["app", "mounted"])
def server(request):
    with workers(request.param) as server:
        yield server


class TestHandOff:
    def test_each_request_on_a_new_connection(self, server):
        processes = set()
        for sid in open_on_both(server):
            answers = set()
            for _ in range(SESSIONS):
                assert request(server, "POST", polling(sid), b"4pid") == (200, b"ok")
                status, body = request(server, "GET", polling(sid))
                assert status == 200
                answers.add(body)
            assert len(answers) == 1
            processes |= answers
        assert len(processes) == 2

    def test_one_connection_for_sessions_of_both(self, server):
        sids = open_on_both(server)
        with Client(server) as client:
            for sid in sids * 4:
                assert client.request("POST", polling(sid), b"4hi") == (200, b"ok")
                assert client.request("GET", polling(sid)) == (200, b"4hi")

    def test_a_large_post(self, server):
        for sid in open_on_both(server):
            body = b"4" + b"x" * 600_000
            for _ in range(3):
                assert request(server, "POST", polling(sid), body) == (200, b"ok")
                assert request(server, "GET", polling(sid)) == (200, body)

    def test_engineio_3_and_jsonp(self, server):
        for sid in open_on_both(server, protocol=3):
            query = polling(sid, 3)
            for _ in range(4):
                assert request(server, "POST", query, b"3:4hi") == (200, b"ok")
                status, body = request(server, "GET", query + "&j=0")
                assert (status, b'___eio[0]("3:4hi")' in body) == (200, True)

    def test_a_request_in_pieces(self, server):
        for sid in open_on_both(server):
            for _ in range(3):
                assert request(server, "POST", polling(sid), b"4hi") == (200, b"ok")
                with Client(server) as client:
                    client.sock.sendall(b"GET /engine.io/?EIO=4&trans")
                    time.sleep(0.02)
                    client.sock.sendall(f"port=polling&sid={sid} HTTP/1.1\r\n".encode())
                    time.sleep(0.02)
                    client.sock.sendall(b"Host: localhost\r\n\r\n")
                    assert client.receive() == (200, b"4hi")

    async def test_upgrade(self, server):
        for sid in await asyncio.to_thread(open_on_both, server):
            path = f"/engine.io/?EIO=4&transport=websocket&sid={sid}"
            async with connect(server.uri(path)) as ws:
                await ws.send("2probe")
                assert await ws.recv() == "3probe"
                await ws.send("5")
                await ws.send("4hello")
                assert await ws.recv() == "4hello"

    def test_ids_of_nobody(self, server):
        for sid in ("ABACAAAAAAAAAAAAAAAA", "x", "-" * 20, "____" + "A" * 16):
            assert request(server, "GET", polling(sid))[0] == 400

    def test_forged_ids_are_passed_on_only_so_often(self, server):
        """Last, since it keeps this address from being served by the other worker."""
        sids = open_on_both(server)
        forged = [sid[:4] + "A" * 16 for sid in sids]
        with Client(server) as client:
            for i in range(150):
                assert client.request("GET", polling(forged[i % 2]))[0] == 400
        server.wait_for("asks for too many sessions that do not exist")


class TestTls:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def start(cls, tmp_path_factory):
        certificates = Certificates(tmp_path_factory.mktemp("tls"))
        with workers("app", *certificates.flags, tls=certificates.client) as server:
            cls.server = server
            yield

    def test_polling(self):
        sids = open_on_both(self.server)
        body = b"4" + b"x" * 600_000
        for sid in sids * 3:
            assert request(self.server, "POST", polling(sid), body) == (200, b"ok")
            assert request(self.server, "GET", polling(sid)) == (200, body)

    def test_one_connection_for_sessions_of_both(self):
        sids = open_on_both(self.server)
        with Client(self.server) as client:
            for sid in sids * 4:
                assert client.request("POST", polling(sid), b"4hi") == (200, b"ok")
                assert client.request("GET", polling(sid)) == (200, b"4hi")

    def test_the_scheme_is_known_to_the_other_worker(self):
        sids = open_on_both(self.server)
        with Client(self.server) as client:
            for sid in sids:
                assert client.request("POST", polling(sid), b"4hi")[0] == 200
                client.path = "/page"
                assert client.request("GET", "x")[1].endswith(b" https")
                client.path = "/engine.io/"

    async def test_upgrade(self):
        for sid in await asyncio.to_thread(open_on_both, self.server):
            uri = self.server.uri(f"/engine.io/?EIO=4&transport=websocket&sid={sid}")
            async with connect(uri, ssl=self.server.tls) as ws:
                await ws.send("2probe")
                assert await ws.recv() == "3probe"
                await ws.send("5")
                await ws.send("4hello")
                assert await ws.recv() == "4hello"


def pid_of(server, sid):
    assert request(server, "POST", polling(sid), b"4pid") == (200, b"ok")
    return int(request(server, "GET", polling(sid))[1][1:])


class TestDeath:
    def test_a_killed_worker_takes_only_its_own_sessions(self):
        with workers() as server:
            first, second = open_on_both(server)
            os.kill(pid_of(server, first), signal.SIGKILL)
            server.wait_for(r"Worker 0 \[\d+\] has died \(signal 9\)")
            for _ in range(4):
                assert request(server, "GET", polling(first))[0] == 400
                assert request(server, "POST", polling(second), b"4hi") == (200, b"ok")
                assert request(server, "GET", polling(second)) == (200, b"4hi")
            server.wait_for(r"Worker 0 \[\d+\] is ready", 2)
            sid, _ = open_on_both(server)
            assert owner_of(sid).generation == 1
            assert request(server, "GET", polling(first))[0] == 400

    def test_workers_end_when_the_supervisor_is_killed(self):
        with workers() as server:
            pid = pid_of(server, open_session(server))
            server.process.kill()
            server.wait_for(r"Finished server process", 2)
            server.wait()
            with pytest.raises(ConnectionRefusedError):
                server.socket()
            assert pid


class TestRollingRestart:
    async def test_clients_come_back_and_no_request_hangs(self):
        with workers("app", "--drain", "0.5") as server:
            sids = await asyncio.to_thread(open_on_both, server)
            sockets = [await connect(server.uri("/engine.io/?EIO=4&transport=websocket"))]
            stop = asyncio.Event()
            statuses = []

            def client():
                """Poll; after a refusal, begin again, as clients do."""
                sid = open_session(server)
                while not stop.is_set():
                    status, _ = request(server, "POST", polling(sid), b"4hi")
                    if status == 200:
                        status, body = request(server, "GET", polling(sid))
                        if body == b"1" or status != 200:
                            sid = open_session(server)
                    else:
                        sid = open_session(server)
                    statuses.append(status)

            load = [asyncio.create_task(asyncio.to_thread(client)) for _ in range(4)]
            server.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(server.wait_for, r"takes over", 2)
            await asyncio.to_thread(server.wait_for, r"Finished server process", 2)
            stop.set()
            await asyncio.wait_for(asyncio.gather(*load), 20)
            assert set(statuses) <= {200, 400}
            assert statuses.count(200) > statuses.count(400)
            await asyncio.wait_for(sockets[0].wait_closed(), 5)
            assert sockets[0].close_code == 1012
            for sid in sids:
                assert (await asyncio.to_thread(request, server, "GET", polling(sid)))[0] == 400
            sid = await asyncio.to_thread(open_session, server)
            assert owner_of(sid).generation == 1

    async def test_sessions_of_a_draining_worker_are_reached(self):
        with workers("app", "--drain", "1000") as server:
            sids = await asyncio.to_thread(open_on_both, server)
            async with connect(server.uri("/engine.io/?EIO=4&transport=websocket")) as ws:
                await ws.recv()
                server.process.send_signal(signal.SIGHUP)
                await asyncio.to_thread(server.wait_for, r"takes over")
                for _ in range(4):
                    for sid in sids:
                        answer = await asyncio.to_thread(
                            request, server, "POST", polling(sid), b"4hi"
                        )
                        assert answer == (200, b"ok")
                server.terminate()
                with pytest.raises(ConnectionClosed):
                    await asyncio.wait_for(ws.recv(), 5)
                assert ws.close_code == 1012
            server.wait()
