"""A client of HTTP/2, with WebSockets in it (RFC 8441), for one request after the other."""

import json
import socket
import ssl

import h2.config
import h2.connection
import h2.events
import h2.settings

from tests.hosting.programs import text_frame


class Client:
    """A connection to a server.

    Attributes:
        settings: What the server has announced.
    """

    def __init__(self, server, certificates):
        context = ssl.create_default_context(cafile=str(certificates.authority))
        context.set_alpn_protocols(["h2"])
        sock = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.sock = context.wrap_socket(sock, server_hostname="localhost")
        assert self.sock.selected_alpn_protocol() == "h2"
        self.authority = f"localhost:{server.port}"
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration())
        self.connection.initiate_connection()
        self.streams = {}
        self.settings = None
        while self.settings is None:
            self.step()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def step(self):
        """Send what is to be sent, and take what has come."""
        self.sock.sendall(self.connection.data_to_send())
        data = self.sock.recv(65536)
        assert data, "the server has closed the connection"
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.RemoteSettingsChanged):
                self.settings = {code: s.new_value for code, s in event.changed_settings.items()}
            elif isinstance(event, h2.events.ResponseReceived):
                self.streams[event.stream_id].headers = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.streams[event.stream_id].data += event.data
                size = event.flow_controlled_length
                self.connection.acknowledge_received_data(size, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                self.streams[event.stream_id].ended = True
        self.sock.sendall(self.connection.data_to_send())

    def begin(self, method, query, body=None, more=()):
        """Begin a request; return its stream."""
        stream = Stream(self, self.connection.get_next_available_stream_id())
        headers = [
            (":method", method),
            (":scheme", "https"),
            (":authority", self.authority),
            (":path", f"/socket.io/?EIO=4&{query}"),
            *more,
        ]
        open_ended = method == "CONNECT"
        ends = body is None and not open_ended
        self.connection.send_headers(stream.id, headers, end_stream=ends)
        if body is not None:
            self.connection.send_data(stream.id, body, end_stream=True)
        self.streams[stream.id] = stream
        self.sock.sendall(self.connection.data_to_send())
        return stream

    def websocket(self, query):
        """Open a WebSocket."""
        more = [(":protocol", "websocket"), ("sec-websocket-version", "13")]
        stream = self.begin("CONNECT", query, more=more)
        while stream.headers is None:
            self.step()
        assert stream.headers[b":status"] == b"200"
        return stream


class Stream:
    """A request."""

    def __init__(self, client, id):
        self.client = client
        self.id = id
        self.headers = None
        self.data = b""
        self.ended = False

    def answer(self):
        """Return the whole body of the answer."""
        while not self.ended:
            self.client.step()
        assert self.headers[b":status"] == b"200", self.data
        return self.data.decode()

    # As a WebSocket

    def send(self, text):
        self.client.connection.send_data(self.id, text_frame(text))

    def receive(self):
        """Return the opcode and the payload of the next frame."""
        while len(self.data) < 4 or len(self.data) < self.end():
            self.client.step()
        start, end = 4 if self.data[1] == 126 else 2, self.end()
        opcode, payload = self.data[0] & 15, self.data[start:end]
        self.data = self.data[end:]
        return opcode, payload

    def end(self):
        if self.data[1] == 126:
            return 4 + int.from_bytes(self.data[2:4], "big")
        return 2 + self.data[1]

    def text(self):
        opcode, payload = self.receive()
        assert opcode == 1
        return payload.decode()


def sid_of(packet):
    """Return the id of a session from its open packet."""
    return json.loads(packet[1:])["sid"]
