#!/usr/bin/env bash
# Build the compiled modules under AddressSanitizer and UBSan, into build/asan, and run tests on
# them: any access beyond a buffer ends the run with a report.
#
#   tests/fuzz/asan.sh                                             the kernel's tests, the fuzz tests
#   tests/fuzz/asan.sh -m pytest tests/websocket                   others
#   tests/fuzz/asan.sh -m tests.fuzz.replay kernel build/fuzz/kernel   what atheris has found
#
# PYTHON is the interpreter, .venv's by default; CC the compiler, gcc by default.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${PYTHON:-.venv/bin/python}
export CC=${CC:-gcc}
if [[ $CC == *clang* ]]; then
    runtime=$($CC -print-file-name=libclang_rt.asan-$(uname -m).so)
else
    runtime=$($CC -print-file-name=libasan.so)
fi

flags="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g"
CFLAGS="$flags" LDFLAGS="-fsanitize=address,undefined" DUPLEXIO_REQUIRE_EXTENSIONS=1 \
    $python setup.py --quiet build --build-base build/asan --build-lib build/asan/lib >/dev/null

if [[ $# -eq 0 ]]; then
    set -- -m pytest -q tests/websocket/test_kernel*.py tests/websocket/test_connection*.py tests/fuzz
fi

# PYTHONMALLOC: Python's own allocator would hide what lies beyond an object's end. Python leaks by
# design, so leaks are not looked for.
export PYTHONPATH=$PWD/build/asan/lib PYTHONMALLOC=malloc DUPLEXIO_IMPL=c
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
LD_PRELOAD=$runtime exec "$python" "$@"
