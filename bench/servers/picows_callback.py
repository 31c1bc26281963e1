"""picows, callback API: frames are echoed from a memoryview, its fastest way."""

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from bench.servers._common import MAX_SIZE, Options, run


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


async def main() -> None:
    options = Options()

    def factory(request: WSUpgradeRequest) -> WSListener:
        return Echo()

    server = await ws_create_server(
        factory,
        sock=options.listen(),
        ssl=options.ssl_context(),
        max_frame_size=MAX_SIZE,
    )
    await server.serve_forever()


if __name__ == "__main__":
    run(main)
