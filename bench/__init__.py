"""The benchmark: duplexio and its peers side by side, with a C server as the limit.

`python -m bench` measures every row of `rows.py` and writes a report; `--help` has the options.
"""
