"""Fuzz one of the targets with atheris, guided by coverage, for as long as you like.

    pip install atheris
    python -m tests.fuzz.atheris_targets kernel -max_total_time=600 build/fuzz/kernel

What follows the target's name goes to libFuzzer; the folder keeps the inputs that reached
something new, and `python -m tests.fuzz.corpus build/fuzz/kernel` puts some there to begin with.
The Python form of each module is instrumented, and the compiled one has to do the same on every
input. `tests/fuzz/asan.sh -m tests.fuzz.replay kernel build/fuzz/kernel` then runs the inputs that
were found on the compiled modules under AddressSanitizer.
"""

import importlib
import os
import sys

from tests.pure import load_pure_package


def main() -> None:
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        raise SystemExit(f"usage: {sys.argv[0]} TARGET [libFuzzer's options] [folder]")
    name = sys.argv.pop(1)
    for argument in sys.argv[1:]:
        if not argument.startswith("-"):
            os.makedirs(argument, exist_ok=True)
    # The finder of the Python form stands before all others: it has to come before atheris' own,
    # which would otherwise never see a module of it.
    load_pure_package()
    with atheris.instrument_imports(include=["duplexio", "duplexio_pure", "tests.fuzz"]):
        targets = {
            **importlib.import_module("tests.fuzz.targets").TARGETS,
            **importlib.import_module("tests.fuzz.connection_targets").TARGETS,
        }
    if name not in targets:
        raise SystemExit(f"there is no target {name!r}; there are {', '.join(targets)}")
    atheris.Setup(sys.argv, targets[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
