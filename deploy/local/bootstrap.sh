#!/bin/sh
# Finds a Python that can run Pingxi and hands over to bootstrap.py beside it. PYTHON names one to use.
set -eu
here=$(CDPATH= cd "${0%/*}" && pwd)

fits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -n "${PYTHON:-}" ]; then
    if ! fits "$PYTHON"; then
        echo "PYTHON is $PYTHON, which isn't Python 3.11 or newer. Pingxi needs one; PYTHON names it." >&2
        exit 1
    fi
    exec "$PYTHON" "$here/bootstrap.py" "$@"
fi
for name in python3.11 python3 python3.12 python3.13 python3.14 python; do
    if fits "$name"; then
        exec "$name" "$here/bootstrap.py" "$@"
    fi
done
echo "No Python 3.11 or newer was found. Install one, or name it: make PYTHON=/path/to/python3.11 …" >&2
exit 1
