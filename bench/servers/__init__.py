"""Servers of each library, as like each other as their interfaces allow.

Each module runs as `python -m bench.servers.NAME [--port N] [--cert FILE --key FILE]`, says
"listening on PORT" on its standard output and serves until it is killed. All of them: one
process, uvloop, no permessage-deflate, no logging, no size limit below 1 MiB. WebSocket servers
echo text as text and binary as binary; those of Socket.IO run the application of `_socketio.py`.
"""
