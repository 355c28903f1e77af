#!/bin/sh
# Runs the self-test on every driver that a machine without a GPU can have, and
# prints a table for docs/drivers.md:
#
#   1. Mesa's llvmpipe, the system's, as it is;
#   2. the same with WebGPU's default limits, no optional feature, portable kernels;
#   3. the same with 512-bit vectors, so that subgroups have 16 lanes;
#   4. llvmpipe through OpenGL (cargo feature `gl`);
#   5. SwiftShader, which Debian ships in its package `chromium-common`; then the same with the kernels of a phone;
#   6. Debian 13's llvmpipe under Vulkan's validation of synchronization, every
#      fourth case;
#   7. SwiftShader under validation that sees accesses outside of buffers, by the
#      portable kernels, every fourth case, where the driver isn't asked to keep shaders inside
#      (scripts/fragile_layer.c);
#   8. Debian 13's llvmpipe without validation, each kernel with guards and without.
#
# What is missing is fetched with apt-get: 1 to 4 are installed, the others are
# unpacked into target/drivers. Other arguments go to `shadernet selftest`.
# VALIDATION=no leaves out 6 to 8, VALIDATION=only does nothing else.
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
# Debian 12's layers say nothing of accesses outside; newer ones need a newer C
# library too. All of it lies beside the system's, programs run in it by `inside`.
newer=$drivers/newer
libraries=$newer/root/usr/lib/x86_64-linux-gnu
if [ "${VALIDATION-}" != no ] && [ ! -e "$newer/fragile.json" ]; then
    # shellcheck disable=SC2016 # apt-get expands it
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
    [ -n "$mirror" ] || die 'validation needs a Debian mirror in the sources of apt: VALIDATION=no leaves it out'
    mkdir -p "$newer/lists/partial" "$newer/cache/archives/partial" "$newer/root"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$mirror" >"$newer/sources"
    : >"$newer/status"
    beside() {
        apt-get -q -y -o APT::Sandbox::User=root -o Dir::Etc::SourceList="$newer/sources" -o Dir::Etc::SourceParts=- \
            -o Dir::State::Lists="$newer/lists" -o Dir::State::Status="$newer/status" -o Dir::Cache="$newer/cache" "$@" >&2
    }
    beside update
    beside install --download-only --no-install-recommends \
        mesa-vulkan-drivers libvulkan1 libvulkan-dev vulkan-validationlayers
    for package in "$newer"/cache/archives/*.deb; do dpkg-deb -x "$package" "$newer/root"; done
    rm -r "$newer/cache/archives"
    layer() { # NAME LIBRARY
        printf '{"file_format_version": "1.2.0", "layer": {"name": "%s", "type": "GLOBAL", "library_path": "%s",
            "api_version": "1.4.0", "implementation_version": "1", "description": "%s"}}\n' "$1" "$2" "$1"
    }
    printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.4.0"}}\n' \
        "$libraries/libvulkan_lvp.so" >"$newer/driver.json"
    layer VK_LAYER_KHRONOS_validation "$libraries/libVkLayer_khronos_validation.so" >"$newer/validation.json"
    layer VK_LAYER_SHADERNET_fragile "$newer/fragile.so" >"$newer/fragile.json"
fi
[ "${VALIDATION-}" = no ] || cc -O1 -fPIC -shared -Wall -Wextra -fvisibility=hidden -I "$newer/root/usr/include" \
    -o "$newer/fragile.so" scripts/fragile_layer.c
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
cargo build --release --locked --features cli,gl --target-dir "$drivers/build" >&2
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
# settings NAME REPORTED SETTING..: what the validation does, and what goes into its log.
settings() {
    printf 'khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG\n' >"$newer/$1.txt"
    printf 'khronos_validation.log_filename = %s\n' "$newer/log" >>"$newer/$1.txt"
    printf 'khronos_validation.report_flags = %s\n' "$2" >>"$newer/$1.txt"
    name=$1
    shift 2
    for setting; do printf 'khronos_validation.%s\n' "$setting" >>"$newer/$name.txt"; done
}
# inside DRIVER SETTINGS LAYERS PROGRAM..: runs it with Debian 13's libraries and these layers.
inside() {
    driver=$1
    settings=$2
    layers=$3
    shift 3
    env VK_DRIVER_FILES="$driver" VK_ICD_FILENAMES="$driver" VK_LAYER_PATH="$newer" \
        VK_INSTANCE_LAYERS="$layers" VK_LAYER_SETTINGS_PATH="$newer/$settings.txt" WGPU_BACKEND=vulkan \
        "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$@"
}
# validated NAME DRIVER SETTINGS LAYERS FAULT MESSAGE PROGRAM..: first a planted fault must give the message, then the program none.
validated() {
    name=$1 driver=$2 settings=$3 layers=$4 fault=$5 message=$6
    shift 6
    say "$name"
    rm -f "$newer/log"
    inside "$driver" "$settings" "$layers" "$planted" "$fault" >"$drivers/out" 2>&1 || die "$(cat "$drivers/out")"
    grep -q "$message" "$newer/log" || die "$name: the planted fault isn't seen: $fault"
    rm -f "$newer/log"
    verdict='no message' wrong=''
    inside "$driver" "$settings" "$layers" "$@" >"$drivers/out" 2>&1 || wrong=yes
    if grep -q Validation "$newer/log" 2>/dev/null; then verdict=MESSAGES wrong=yes; fi
    [ -z "$wrong" ] || {
        failed=yes
        cat "$drivers/out" "$newer/log" >&2 || :
    }
    adapter=$(sed -n 's/^adapter: //p' "$drivers/out")
    # The layers write a line of their own after the self-test's last.
    counts=$(sed -n '/^[0-9]* operations, /p' "$drivers/out")
    printf '| %s | %s | %s; %s |\n' "$name" "${adapter:-none}" "${counts:-no result}" "$verdict"
}
selftest="$drivers/build/release/shadernet selftest $*"
printf '| driver | adapter, backend, version; tiers | result |\n|---|---|---|\n'
# shellcheck disable=SC2086 # the command is words
[ "${VALIDATION-}" = only ] || {
    run 'llvmpipe' VK_DRIVER_FILES="$llvmpipe" VK_ICD_FILENAMES="$llvmpipe" WGPU_BACKEND=vulkan $selftest
    run 'llvmpipe, default limits, no optional feature' \
        VK_DRIVER_FILES="$llvmpipe" VK_ICD_FILENAMES="$llvmpipe" WGPU_BACKEND=vulkan $selftest --portable
    run 'llvmpipe, 512-bit vectors' LP_NATIVE_VECTOR_WIDTH=512 \
        VK_DRIVER_FILES="$llvmpipe" VK_ICD_FILENAMES="$llvmpipe" WGPU_BACKEND=vulkan $selftest
    run 'llvmpipe through OpenGL' WGPU_BACKEND=gl $selftest
    run "SwiftShader of chromium $(cat "$drivers/swiftshader.version")" \
        VK_DRIVER_FILES="$drivers/swiftshader.json" VK_ICD_FILENAMES="$drivers/swiftshader.json" \
        WGPU_BACKEND=vulkan $selftest
    run 'the same as a phone, every fourth case' \
        VK_DRIVER_FILES="$drivers/swiftshader.json" VK_ICD_FILENAMES="$drivers/swiftshader.json" \
        WGPU_BACKEND=vulkan $selftest --phone --quick
}
# shellcheck disable=SC2086 # the command is words
[ "${VALIDATION-}" = no ] || {
    # In the folder of `make test`, where what tests need is built already.
    planted=$(cargo test --release --locked --features cli --no-run --test planted 2>&1 | sed -n 's/.*(\(.*planted-[0-9a-f]*\))$/\1/p')
    [ -n "$planted" ] || die "tests/planted.rs doesn't build"
    both=VK_LAYER_SHADERNET_fragile:VK_LAYER_KHRONOS_validation
    # Left out: the copy that fills a texture with zeros "overlaps" its source, though their memory doesn't: a fault of the
    # layers 1.4.309 that wgpu's authors reported too (Vulkan-ValidationLayers, issues 9276 and 9537).
    settings synchronization error,warn 'validate_sync = true' \
        'message_id_filter = VUID-vkCmdCopyBufferToImage-pRegions-00173'
    settings outside error 'validate_core = false' 'gpuav_enable = true'
    validated 'llvmpipe of Debian 13, synchronization validated' "$newer/driver.json" synchronization \
        VK_LAYER_KHRONOS_validation barrier SYNC-HAZARD-WRITE-AFTER-WRITE $selftest --quick --no-cache
    # Validation adds code to each access. SwiftShader compiles that in seconds, llvmpipe needs minutes for a kernel.
    validated "SwiftShader of chromium $(cat "$drivers/swiftshader.version"), accesses validated" \
        "$drivers/swiftshader.json" outside "$both" outside 'access out of bounds' \
        $selftest --quick --portable --no-cache
    run 'llvmpipe of Debian 13, with guards the same bits' VK_DRIVER_FILES="$newer/driver.json" \
        VK_ICD_FILENAMES="$newer/driver.json" VK_LAYER_PATH="$newer" VK_INSTANCE_LAYERS=VK_LAYER_SHADERNET_fragile \
        WGPU_BACKEND=vulkan "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" \
        $selftest --quick --guarded --no-cache
}
[ -z "$failed" ] || die 'not all passed'
