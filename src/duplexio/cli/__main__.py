"""``python -m duplexio.cli``: the command ``duplexio``."""

from . import main

main(prog_name="duplexio")
