#!/usr/bin/env bash
# Make a virtual environment with the package (editable) and dependency groups in it.
# usage: make_venv.sh PYTHON FOLDER GROUP...
set -euo pipefail

python=$1 folder=$2
shift 2
groups=()
for group in "$@"; do
    groups+=(--group "$group")
done

if command -v uv >/dev/null; then
    [[ -x $folder/bin/python ]] || uv venv --quiet --python "$python" "$folder"
    VIRTUAL_ENV=$PWD/$folder uv pip install --quiet --editable . "${groups[@]}"
else
    [[ -x $folder/bin/python ]] || "$python" -m venv "$folder"
    # --group came with pip 25.1.
    "$folder/bin/python" -m pip install --quiet --upgrade "pip>=25.1"
    "$folder/bin/python" -m pip install --quiet --editable . "${groups[@]}"
fi
