"""``duplexio types``: what a Socket.IO server and its clients say, for other tools.

``typescript.py`` writes interfaces for TypeScript, ``asyncapi.py`` a document of AsyncAPI.
"""

from .command import command as command
