"""WebSocket, Engine.IO and Socket.IO for Python."""
