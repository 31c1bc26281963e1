"""``duplexio doctor``: what a server speaks, and what stands in its way.

``probe.py`` asks, ``checks.py``, ``network.py`` and ``waiting.py`` judge the answers, and
``report.py`` shows what was found.
"""

from .examine import command as command
