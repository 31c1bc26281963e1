"""Run a target on every input of a folder: those that a fuzzer found, under sanitizers perhaps.

tests/fuzz/asan.sh -m tests.fuzz.replay kernel build/fuzz/kernel
"""

import sys
from pathlib import Path

from tests.fuzz import connection_targets, targets


def main() -> None:
    known = {**targets.TARGETS, **connection_targets.TARGETS}
    if len(sys.argv) != 3 or sys.argv[1] not in known:
        raise SystemExit(f"usage: {sys.argv[0]} {{{','.join(known)}}} FOLDER")
    target = known[sys.argv[1]]
    paths = sorted(path for path in Path(sys.argv[2]).iterdir() if path.is_file())
    for path in paths:
        try:
            target(path.read_bytes())
        except BaseException:
            print(f"the input is {path}", file=sys.stderr)
            raise
    print(f"{len(paths)} inputs pass")


if __name__ == "__main__":
    main()
