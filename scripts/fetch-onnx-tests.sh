#!/bin/sh
# Fetches the ONNX backend tests, as the Python package onnx 1.22.0 carries
# them (newer ones don't), into target/onnx/data: 12,000 small files, 21 MB.
# Needs python3 with pip, or a system on which this may install them.
set -eu
cd "$(dirname "$0")/.."
exec </dev/null

version=1.22.0
data=target/onnx/data
stamp=target/onnx/$version
[ -f "$stamp" ] && [ -d "$data/node" ] && exit 0

say() { printf 'fetch-onnx-tests: %s\n' "$*"; }
die() {
    printf 'fetch-onnx-tests: %s\n' "$*" >&2
    exit 1
}

if ! python3 -m pip --version >/dev/null 2>&1; then
    say 'python3 or its pip is missing: installing them'
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    if command -v apt-get >/dev/null 2>&1; then
        $as_root apt-get update -qq
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends python3-pip
    elif command -v dnf >/dev/null 2>&1; then
        $as_root dnf install -y -q python3-pip
    else
        die 'install python3 and its pip first'
    fi
fi

mkdir -p target/onnx
work=$(mktemp -d target/onnx/fetch.XXXXXX)
trap 'rm -rf "$work"' EXIT
say "fetching onnx $version"
# A wheel for whatever machine: only the data in it are wanted.
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --python-version 3.12 --implementation cp --abi abi3 --abi cp312 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 \
    --dest "$work" "onnx==$version"
python3 - "$work" <<'EOF'
import pathlib
import sys
import zipfile

work = pathlib.Path(sys.argv[1])
(wheel,) = work.glob("*.whl")
prefix = "onnx/backend/test/data/"
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(work, [name for name in archive.namelist() if name.startswith(prefix)])
EOF
rm -rf "$data"
mv "$work/onnx/backend/test/data" "$data"
: >"$stamp"
say "the tests are in $data"
