#!/bin/sh
# Finds a Python 3.11 or newer and hands over to setup.py. PYTHON=... names one.
here=$(dirname "$0")
new_enough='import sys; sys.exit(sys.version_info[:2] < (3, 11))'

if [ -n "${PYTHON:-}" ]; then
    candidates=$PYTHON
else
    # Our own environment's first: a set-up that is up to date is then known in one start.
    candidates="$here/../.venv/bin/python
python3
python3.14
python3.13
python3.12
python3.11"
fi

IFS='
'
for python in $candidates; do
    if "$python" -c "$new_enough" >/dev/null 2>&1; then
        exec "$python" "$here/setup.py"
    fi
done
echo "error: no Python 3.11 or newer found (looked for: $(echo $candidates))" >&2
echo "hint: install one, or name it: make setup PYTHON=/path/to/python3" >&2
exit 1
