#!/bin/sh
# Runs the self-test on every driver that a machine without a GPU can have, and
# prints a table for docs/drivers.md:
#
#   1. Mesa's llvmpipe, the system's, as it is;
#   2. the same with WebGPU's default limits, no optional feature, portable kernels;
#   3. the same with 512-bit vectors, so that subgroups have 16 lanes;
#   4. llvmpipe through OpenGL (cargo feature `gl`);
#   5. SwiftShader, which Debian ships in its package `chromium-common`.
#
# What is missing is fetched with apt-get: 1 to 4 are installed, SwiftShader is
# unpacked into target/drivers. Other arguments go to `shadernet selftest`.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
drivers=$root/target/drivers
mkdir -p "$drivers"

say() { printf 'test-drivers: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}
command -v apt-get >/dev/null || die 'this needs apt-get (Debian, Ubuntu)'
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

lists() {
    [ -n "${fetched-}" ] || as_root apt-get -q update >&2
    fetched=yes
}
for package in libvulkan1 mesa-vulkan-drivers libegl1 libgl1-mesa-dri; do
    dpkg -s "$package" >/dev/null 2>&1 && continue
    lists
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$package" >&2
done
if [ ! -e "$drivers/swiftshader.json" ]; then
    lists
    (cd "$drivers" && apt-get -q download chromium-common >&2)
    for package in "$drivers"/chromium-common_*.deb; do dpkg-deb -x "$package" "$drivers/chromium"; done
    library=$(find "$drivers/chromium" -name libvk_swiftshader.so)
    [ -n "$library" ] || die 'the package chromium-common holds no libvk_swiftshader.so'
    dpkg-deb -f "$drivers"/chromium-common_*.deb Version >"$drivers/swiftshader.version"
    cp "$library" "$drivers"
    rm -r "$drivers/chromium" "$drivers"/chromium-common_*.deb
    printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.1.0"}}\n' \
        "$drivers/libvk_swiftshader.so" >"$drivers/swiftshader.json"
fi

# A folder of its own: OpenGL changes what wgpu is built with, and everything would be built again each time.
cargo build --release --locked --features gl --target-dir "$drivers/build" >&2
llvmpipe=$(find /usr/share/vulkan/icd.d -name 'lvp_icd*.json' | head -n 1)
[ -n "$llvmpipe" ] || die 'there is no lvp_icd*.json in /usr/share/vulkan/icd.d'

# The test's name; then environment and arguments.
failed=''
run() {
    name=$1
    shift
    say "$name"
    if env "$@" >"$drivers/out" 2>&1; then verdict=passed; else verdict=FAILED failed=yes; fi
    adapter=$(sed -n 's/^adapter: //p' "$drivers/out")
    counts=$(tail -n 1 "$drivers/out")
    [ $verdict = passed ] || cat "$drivers/out" >&2
    printf '| %s | %s | %s |\n' "$name" "${adapter:-none}" "$counts"
}
selftest="$drivers/build/release/shadernet selftest $*"
printf '| driver | adapter, backend, version; tiers | result |\n|---|---|---|\n'
# shellcheck disable=SC2086 # the command is words
{
    run 'llvmpipe' VK_DRIVER_FILES="$llvmpipe" VK_ICD_FILENAMES="$llvmpipe" WGPU_BACKEND=vulkan $selftest
    run 'llvmpipe, default limits, no optional feature' \
        VK_DRIVER_FILES="$llvmpipe" VK_ICD_FILENAMES="$llvmpipe" WGPU_BACKEND=vulkan $selftest --portable
    run 'llvmpipe, 512-bit vectors' LP_NATIVE_VECTOR_WIDTH=512 \
        VK_DRIVER_FILES="$llvmpipe" VK_ICD_FILENAMES="$llvmpipe" WGPU_BACKEND=vulkan $selftest
    run 'llvmpipe through OpenGL' WGPU_BACKEND=gl $selftest
    run "SwiftShader of chromium $(cat "$drivers/swiftshader.version")" \
        VK_DRIVER_FILES="$drivers/swiftshader.json" VK_ICD_FILENAMES="$drivers/swiftshader.json" \
        WGPU_BACKEND=vulkan $selftest
}
[ -z "$failed" ] || die 'not all passed'
