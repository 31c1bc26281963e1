"""The echo servers and clients that the Autobahn test suite talks to, one process each.

    python -m tests.conformance.peers server duplexio
    python -m tests.conformance.peers client duplexio ws://127.0.0.1:9001 AGENT

A server prints its port and serves until it is terminated. A client runs every case of a fuzzing
server and asks it to write its report. `DUPLEXIO_IMPL` chooses the implementation, as always.

`websockets` is there to hold the harness against a library whose results are known.
"""

import argparse
import asyncio
import signal

#: The cases 9.* send messages of 16 MiB.
MAX_SIZE = 2**25


def ready(port):
    """Tell the parent process where the server listens."""
    print(port, flush=True)


async def serve_until_terminated(start):
    """Enter a server's context, say its port, and leave it at SIGTERM."""
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    async with start as server:
        ready(server.sockets[0].getsockname()[1])
        await terminated.wait()


async def run_cases(connect, exceptions, url, agent):
    """Do what a client under test has to do: the count, each case, the report."""
    async with connect(f"{url}/getCaseCount") as connection:
        count = int(await connection.recv())
    for case in range(1, count + 1):
        try:
            async with connect(f"{url}/runCase?case={case}&agent={agent}") as connection:
                await echo(connection, exceptions)
        except exceptions:
            # The case has failed the connection; whether rightly, the report will tell.
            continue
    async with connect(f"{url}/updateReports?agent={agent}"):
        pass


async def echo(connection, exceptions):
    """Send every message back, until the connection closes."""
    try:
        async for message in connection:
            await connection.send(message)
    except exceptions:
        return


# --- duplexio -----------------------------------------------------------------------------------


def duplexio_server():
    """Serve with the coroutine API."""
    from duplexio.websocket import ConnectionClosed, serve

    async def handler(connection):
        await echo(connection, ConnectionClosed)

    async def main():
        await serve_until_terminated(
            serve(handler, "127.0.0.1", 0, compression="deflate", max_size=MAX_SIZE)
        )

    asyncio.run(main())


def duplexio_listener_server():
    """Serve with the callback API."""
    from duplexio.websocket import Listener, serve

    class Echo(Listener):
        def on_message(self, ws, message):
            ws.send(message)

    async def main():
        await serve_until_terminated(
            serve(Echo, "127.0.0.1", 0, compression="deflate", max_size=MAX_SIZE)
        )

    asyncio.run(main())


def duplexio_client(url, agent):
    """Connect with the coroutine API."""
    from duplexio.websocket import connect
    from duplexio.websocket.exceptions import WebSocketException

    def open_connection(uri):
        return connect(uri, compression="deflate", max_size=MAX_SIZE)

    asyncio.run(run_cases(open_connection, WebSocketException, url, agent))


def duplexio_blocking_client(url, agent):
    """Connect with the blocking API."""
    from duplexio import websocket

    def open_connection(uri):
        return websocket.create_connection(uri, timeout=100, max_size=MAX_SIZE)

    def run_case(case):
        with open_connection(f"{url}/runCase?case={case}&agent={agent}") as connection:
            while True:
                opcode, data = connection.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    break
                connection.send(data, opcode)

    with open_connection(f"{url}/getCaseCount") as connection:
        count = int(connection.recv())
    for case in range(1, count + 1):
        try:
            run_case(case)
        except websocket.WebSocketException:
            continue
    open_connection(f"{url}/updateReports?agent={agent}").close()


# --- websockets ---------------------------------------------------------------------------------


def websockets_server():
    """Serve with the `websockets` library."""
    from websockets.asyncio.server import serve
    from websockets.exceptions import ConnectionClosed

    async def handler(connection):
        await echo(connection, ConnectionClosed)

    async def main():
        await serve_until_terminated(serve(handler, "127.0.0.1", 0, max_size=MAX_SIZE))

    asyncio.run(main())


def websockets_client(url, agent):
    """Connect with the `websockets` library."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    def open_connection(uri):
        return connect(uri, max_size=MAX_SIZE)

    asyncio.run(run_cases(open_connection, WebSocketException, url, agent))


SERVERS = {
    "duplexio": duplexio_server,
    "duplexio-listener": duplexio_listener_server,
    "websockets": websockets_server,
}
CLIENTS = {
    "duplexio": duplexio_client,
    "duplexio-blocking": duplexio_blocking_client,
    "websockets": websockets_client,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    sides = parser.add_subparsers(dest="side", required=True)
    server = sides.add_parser("server")
    server.add_argument("peer", choices=SERVERS)
    client = sides.add_parser("client")
    client.add_argument("peer", choices=CLIENTS)
    client.add_argument("url")
    client.add_argument("agent")
    options = parser.parse_args()
    if options.side == "server":
        SERVERS[options.peer]()
    else:
        CLIENTS[options.peer](options.url, options.agent)


if __name__ == "__main__":
    main()
