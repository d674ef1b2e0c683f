#!/bin/sh
# Pins, with hashes and for every supported Python, what pyproject.toml and requirements/*.in ask for.
# No file names the index a package came from. Arguments go to uv: --upgrade, --upgrade-package NAME.
set -eu
cd "$(dirname "$0")/.."
shipped=src/triggerfish/local/requirements
functions=src/triggerfish/deploy/requirements-functions

pin() {
    output=$1
    shift
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --output-file "$output" "$@"
    echo "$output: $(grep -c '==' "$output") packages"
}

pin requirements/dev.txt pyproject.toml --extra local --group dev "$@"
pin requirements/build.txt requirements/build.in "$@"
pin "$shipped/emulator.txt" requirements/emulator.in "$@"
pin "$shipped/lambda.txt" requirements/lambda.in "$@"
pin "$functions.txt" "$functions.in" "$@"
