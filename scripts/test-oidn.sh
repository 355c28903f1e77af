#!/bin/sh
# Fetches Open Image Denoise, as the Python package pyoidn 2.5.1.0 carries it
# (88 MB), and lets its CPU device make the references of tests/denoise/oidn.rs
# in target/oidn. Needs python3 with pip on Linux and x86-64.
set -eu
cd "$(dirname "$0")/.."
exec </dev/null

version=2.5.1.0
folder=target/oidn
# Both the package and the script decide the references.
stamp=$folder/$version-$(cksum <scripts/oidn-references.py | tr ' ' '-')
[ -f "$stamp" ] && exit 0

python3 -m pip --version >/dev/null 2>&1 || {
    echo 'test-oidn: install python3 and its pip first' >&2
    exit 1
}
mkdir -p "$folder"
if [ ! -f "$folder/package/$version" ]; then
    echo "test-oidn: fetching pyoidn $version"
    rm -rf "$folder/package"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --only-binary :all: \
        --target "$folder/package" "pyoidn==$version" numpy cffi
    : >"$folder/package/$version"
fi
rm -rf "$folder/references"
PYTHONPATH="$folder/package" python3 scripts/oidn-references.py "$folder/package" "$folder/references"
: >"$stamp"
