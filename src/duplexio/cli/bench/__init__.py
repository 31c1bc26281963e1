"""``duplexio bench``: load for a server, from as many processes as it takes.

``plan.py`` says what is to be done, ``worker.py`` does a process's part of it with the connections
of ``websocket.py`` and ``socketio.py``, ``run.py`` starts the workers and adds up what they count,
and ``report.py`` and ``page.py`` show it.
"""

from .command import command as command
