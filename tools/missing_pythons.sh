#!/usr/bin/env bash
# Name the supported Pythons that this machine lacks, and on which nothing is therefore tested.
set -euo pipefail

supported=${SUPPORTED:-"3.11 3.12 3.13"}
present=$(SUPPORTED=$supported "$(dirname "$0")/pythons.sh" | cut -d' ' -f1)
for version in $supported; do
    if ! grep -qx "$version" <<<"$present"; then
        echo "== Python $version is not here: not tested on it"
    fi
done
