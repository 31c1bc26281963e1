"""permessage-deflate: JSON messages compressed by a server and decompressed by its client.

Each library negotiates its own default parameters between its own two sides, both with context
takeover. No sockets and no frames: the extension alone. Every message is compared with its
original, outside the time measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from bench.clients.corpus import messages

Codec = Callable[[bytes], bytes]


def duplexio_pair() -> tuple[Codec, Codec]:
    from duplexio.websocket.deflate import client_extensions, server_extensions

    [client_factory], [server_factory] = client_extensions("deflate"), server_extensions("deflate")
    response, server = server_factory.process_request_params(
        client_factory.get_request_params(), []
    )
    client = client_factory.process_response_params(response, [])
    return server.compress, client.decompress


def websockets_pair() -> tuple[Codec, Codec]:
    from websockets.extensions import permessage_deflate as deflate
    from websockets.frames import Frame, Opcode

    [client_factory] = deflate.enable_client_permessage_deflate(None)
    [server_factory] = deflate.enable_server_permessage_deflate(None)
    offer = client_factory.get_request_params()
    response, server = server_factory.process_request_params(offer, [])
    client = client_factory.process_response_params(response, [])

    def compress(message: bytes) -> bytes:
        return bytes(server.encode(Frame(Opcode.TEXT, message)).data)

    def decompress(payload: bytes) -> bytes:
        return bytes(client.decode(Frame(Opcode.TEXT, payload, rsv1=True)).data)

    return compress, decompress


PAIRS = {"duplexio": duplexio_pair, "websockets": websockets_pair}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=PAIRS, required=True)
    parser.add_argument("--bytes", type=float, required=True, help="of JSON")
    arguments = parser.parse_args()

    compress, decompress = PAIRS[arguments.library]()
    clock = time.process_time_ns
    plain = packed = compressing = decompressing = count = 0
    for message in messages():
        begun = clock()
        payload = compress(message)
        between = clock()
        back = decompress(payload)
        ended = clock()
        if back != message:
            raise SystemExit(f"message {count} came back changed")
        count += 1
        plain += len(message)
        packed += len(payload)
        compressing += between - begun
        decompressing += ended - between
        if plain >= arguments.bytes:
            break
    result = {
        "cpu_s_per_gb": (compressing + decompressing) / plain,
        "compress_s_per_gb": compressing / plain,
        "decompress_s_per_gb": decompressing / plain,
        "ratio": plain / packed,
        "bytes": plain,
        "count": count,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
