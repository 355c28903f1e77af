#!/bin/sh
# Makes a machine ready to build and run shadernet, and leaves alone what is
# already there:
#
#   1. a C compiler, which cargo links with;
#   2. the release build;
#   3. an adapter that wgpu can use. `shadernet devices` tells whether there is
#      one; where there is none, the distribution's software Vulkan driver is
#      installed, which runs the shaders on the CPU.
#
# With --lint also rustfmt and clippy, which `make test` uses, and only those.
set -eu
cd "$(dirname "$0")/.."
exec </dev/null # nothing here may wait for an answer

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

have cargo || die 'cargo is not on the PATH: install Rust first (https://rustup.rs)'

if [ "${1-}" = --lint ]; then
    if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
        have rustup || die 'rustfmt and clippy are missing: install the packages of your Rust toolchain that hold them'
        say 'rustfmt or clippy is missing: adding both with rustup'
        rustup component add rustfmt clippy
    fi
    exit 0
fi

# The package manager, how it refreshes its lists and adds packages without a
# question, and what the two things that may be missing are called there.
manager='' refresh='' add='' compiler='' driver=''
for m in apt-get dnf pacman apk zypper; do
    if have "$m"; then
        manager=$m
        break
    fi
done
case $manager in
apt-get)
    refresh='apt-get update'
    add='DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends'
    compiler='gcc libc6-dev'
    driver='mesa-vulkan-drivers libvulkan1'
    ;;
dnf)
    refresh='dnf makecache'
    add='dnf install -y'
    compiler='gcc glibc-devel'
    driver='mesa-vulkan-drivers vulkan-loader'
    ;;
pacman)
    refresh='pacman -Sy'
    add='pacman -S --needed --noconfirm'
    compiler='gcc'
    driver='vulkan-swrast vulkan-icd-loader'
    ;;
apk)
    refresh='apk update'
    add='apk add'
    compiler='gcc musl-dev'
    driver='mesa-vulkan-swrast vulkan-loader'
    ;;
zypper)
    refresh='zypper --non-interactive refresh'
    add='zypper --non-interactive install'
    compiler='gcc glibc-devel'
    driver='libvulkan_lvp libvulkan1'
    ;;
esac

# install WHY WHAT PACKAGES: adds the packages as root, or says how to.
install() {
    [ -n "$manager" ] ||
        die "$1, and no package manager known here was found: install $2 by hand, then run this again"
    by_hand="run this as root, then try again:  $refresh && $add $3"
    if [ "$(id -u)" -eq 0 ]; then
        root=''
    elif have sudo; then
        root=sudo
    else
        die "$1, and $2 can only be installed by root: $by_hand"
    fi
    say "$1: installing $2 ($3) with $manager"
    # The lists of a fresh machine may be empty or old: refresh them if need be,
    # and let the second try decide, since one broken source fails the refresh.
    if ! output=$($root sh -c "$add $3 || { $refresh; $add $3; }" 2>&1); then
        printf '%s\n' "$output" >&2
        die "installing $2 failed: $by_hand"
    fi
}

system=$(uname -s)
case $system in
Darwin) say 'macOS brings its own graphics driver (Metal): none to install' ;;
MINGW* | MSYS* | CYGWIN*) say 'Windows brings its own graphics driver (DirectX 12): none to install' ;;
esac

case $system in
Darwin) have cc || die 'no C compiler (cc), which cargo links with: run  xcode-select --install' ;;
MINGW* | MSYS* | CYGWIN*) ;; # cargo finds the linker of Visual Studio by itself
*) have cc || install 'no C compiler (cc), which cargo links with' 'one' "$compiler" ;;
esac

cargo build --release --locked --features cli

devices() { cargo run --quiet --release --locked --features cli -- devices 2>&1; }
if ! found=$(devices); then
    case $system in
    Darwin | MINGW* | MSYS* | CYGWIN*) ;;
    *)
        install 'no adapter that wgpu can use' "Mesa's software Vulkan driver" "$driver"
        found=$(devices) && exit 0
        ;;
    esac
    printf '%s\n' "$found" >&2
    [ "$manager" != apk ] ||
        say "a statically linked program cannot load a driver: with rustup's musl toolchain, set RUSTFLAGS='-C target-feature=-crt-static'" >&2
    die 'still no adapter that wgpu can use; above is what "shadernet devices" answers'
fi
