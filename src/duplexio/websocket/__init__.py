"""The WebSocket layer: bytes to messages and back."""
