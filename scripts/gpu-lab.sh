#!/bin/sh
# Compiles the kernels of all networks and of the self-test with the compilers
# of GPUs that aren't there: Mesa's drivers on Mesa's stand-ins for a kernel's
# driver (package mesa-drm-shim). Nothing runs on a GPU. docs/gpu-lab.md explains
# the tables, docs/gpu-lab/MACHINE.tsv and time-MACHINE.tsv, which this writes.
#
#   sh scripts/gpu-lab.sh [MACHINE..]              all machines, or these
#   sh scripts/gpu-lab.sh try SHADER [MACHINE..]   what changes for the kernels of one shader; writes no table
#   sh scripts/gpu-lab.sh assembly MACHINE KERNEL  what the driver tells about a kernel, named as in a table
#
# It fails if a kernel is worse than in the committed table of the same driver.
set -eu
cd "$(dirname "$0")/.."
exec </dev/null
lab=$PWD/target/gpu-lab
libraries=$lab/root/usr/lib/x86_64-linux-gnu

say() { printf 'gpu-lab: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# Unpacks the drivers with a C library of their own, and installs nothing. Each
# run takes the newest ones, at most once a day: the tables name their version.
set_up() {
    [ -z "$(find "$lab/fresh" -mmin -1440 2>/dev/null)" ] || return 0
    if ! command -v apt-get >/dev/null || [ "$(uname -m)" != x86_64 ]; then
        die 'this needs apt-get (Debian, Ubuntu) on x86-64'
    fi
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    # shellcheck disable=SC2016 # apt-get expands it
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
    [ -e "$keys" ] || die 'install the package debian-archive-keyring first'
    [ -n "$mirror" ] || mirror=${DEBIAN_MIRROR-}
    [ -n "$mirror" ] || die 'the sources of apt name no mirror of Debian: set DEBIAN_MIRROR to the address of one'
    say "fetching Mesa's Vulkan drivers and mesa-drm-shim from Debian's trixie-backports into target/gpu-lab (65 MB, 400 MB unpacked)"
    rm -rf "$lab/root"
    mkdir -p "$lab/lists/partial" "$lab/cache/archives/partial" "$lab/root"
    for suite in trixie trixie-backports; do
        printf 'deb [signed-by=%s] %s %s main\n' "$keys" "$mirror" "$suite"
    done >"$lab/sources"
    : >"$lab/status"
    beside() {
        apt-get -q -y -o APT::Sandbox::User=root -o Dir::Etc::SourceList="$lab/sources" -o Dir::Etc::SourceParts=- \
            -o Dir::State::Lists="$lab/lists" -o Dir::State::Status="$lab/status" -o Dir::Cache="$lab/cache" \
            -o Acquire::Languages=none "$@" >"$lab/apt.log" 2>&1 || die "apt-get failed: $(tail -n 3 "$lab/apt.log")"
    }
    beside update
    beside -t trixie-backports --download-only --no-install-recommends install \
        mesa-vulkan-drivers libvulkan1 mesa-drm-shim
    for package in "$lab"/cache/archives/*.deb; do dpkg-deb -x "$package" "$lab/root"; done
    rm -r "$lab/cache" "$lab/lists"
    : >"$lab/fresh"
}

# on MACHINE PROGRAM..: runs a program that sees this GPU and no other. Its
# submissions do nothing.
on() (
    case $1 in
    navi*) export AMDGPU_GPU_ID="$1" && driver=radeon shim=amdgpu ;;
    tu102) export NOUVEAU_CHIPSET=162 && driver=nouveau shim=nouveau ;;
    ga102) export NOUVEAU_CHIPSET=172 && driver=nouveau shim=nouveau ;;
    m1) driver=asahi shim=asahi ;;
    a750) export FD_GPU_ID=750 && driver=freedreno shim=freedreno ;;
    *) die "no such machine: $1" ;;
    esac
    shift
    printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.4.0"}}\n' \
        "$libraries/libvulkan_$driver.so" >"$lab/driver.json"
    export VK_DRIVER_FILES="$lab/driver.json" VK_ICD_FILENAMES="$lab/driver.json" MESA_SHADER_CACHE_DISABLE=true
    exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" \
        --preload "$libraries/lib${shim}_noop_drm_shim.so" "$@"
)

set_up
# The same versions of wgpu and naga as shadernet's.
cp Cargo.lock benches/gpu-lab/Cargo.lock
cargo test --quiet --release --manifest-path benches/gpu-lab/Cargo.toml --target-dir "$lab/build" >&2
cargo build --quiet --release --manifest-path benches/gpu-lab/Cargo.toml --target-dir "$lab/build"
program=$lab/build/release/gpu-lab

if [ "${1-}" = assembly ]; then
    [ $# = 3 ] || die 'usage: assembly MACHINE KERNEL'
    on "$2" "$program" assembly "$2" "$3"
    exit
fi

only=''
if [ "${1-}" = try ]; then
    [ $# -ge 2 ] || die 'usage: try SHADER [MACHINE..]'
    only=$2
    shift 2
fi

[ $# != 0 ] || set -- navi31 navi21 ga102 tu102 m1 a750
mkdir -p docs/gpu-lab
failed=''
for machine; do
    table=docs/gpu-lab/$machine.tsv
    git show "HEAD:$table" >"$lab/committed.tsv" 2>/dev/null || : >"$lab/committed.tsv"
    # shellcheck disable=SC2086 # without a shader there is no argument
    on "$machine" "$program" compile "$machine" $only >"$lab/new.tsv" 2>"$lab/errors" ||
        die "$machine: $(tail -n 3 "$lab/errors")"
    if [ -n "$only" ]; then
        awk -F '\t' -v shader="$only" 'NR <= 2 || $1 == shader' "$lab/committed.tsv" >"$lab/some.tsv"
        mv "$lab/some.tsv" "$lab/committed.tsv"
    else
        cp "$lab/new.tsv" "$table"
        case $machine in
        navi31 | ga102) on "$machine" "$program" time "$machine" >"docs/gpu-lab/time-$machine.tsv" 2>"$lab/errors" ||
            die "$machine: $(tail -n 3 "$lab/errors")" ;;
        esac
    fi
    "$program" judge "$lab/committed.tsv" "$lab/new.tsv" || failed=yes
done
[ -z "$failed" ] || die 'kernels are worse than in the committed tables'
