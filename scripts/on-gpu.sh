#!/bin/sh
# Measures a GPU that is at hand for a quarter of an hour, on a machine without cargo, compiler and network:
#
#   sh scripts/on-gpu.sh --pack DIR  at yours: builds the programs, and collects them in DIR, stripped, with this script,
#                                    benches/compare and the system's Vulkan loader, 64 MiB at most
#   sh DIR/on-gpu.sh OUT             there: writes each result to the new folder OUT as it comes, within nine minutes
#
# The parts go by value: the last ones may find no time. OUT/SUMMARY.md names the adapter in its first line, then each
# part; its last line is the verdict, and a run without one was killed. Exit status: 0 if all parts passed, 1 if one
# failed, 2 if none failed but time ran out for some. What the machine lacks (vulkaninfo, nvidia-smi, PyTorch with CUDA)
# is skipped and doesn't count.
#
#   BIN=DIR    the packed folder, if this script isn't in it
#   LIMIT=540  the seconds in all
#   QUICK=1    one small network at batch 1: to try the script on a software driver
#   WGPU_ADAPTER_NAME, WGPU_BACKEND, VK_DRIVER_FILES: as for every program here
set -eu
exec </dev/null
programs='shadernet kernels decoder compare generate'

say() { printf 'on-gpu: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}
# Makes a folder, which may exist if it is empty, and prints its absolute path.
folder() {
    mkdir -p "$1"
    [ -z "$(ls -A "$1")" ] || die "$1 isn't empty"
    (cd "$1" && pwd)
}

pack() {
    to=$(folder "$1")
    cd "$(dirname "$0")/.."
    cargo build --release --locked --features cli --bin shadernet --example generate \
        --bench kernels --bench decoder --bench compare --message-format=json >"$to/built"
    for name in $programs; do
        strip -o "$to/$name" "$(sed -n "s/.*\"name\":\"$name\".*\"executable\":\"\([^\"]*\)\".*/\1/p" "$to/built")"
    done
    rm "$to/built"
    mkdir -p "$to/benches/compare" "$to/lib"
    cp scripts/on-gpu.sh "$to"
    cp benches/compare/*.py "$to/benches/compare"
    git describe --always --dirty >"$to/commit"
    # ldconfig isn't on every user's PATH.
    loader=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p | sed -n 's/^\tlibvulkan\.so\.1 .*=> //p' | head -n 1)
    if [ -n "$loader" ]; then cp -L "$loader" "$to/lib"; else say 'this system has no libvulkan.so.1 to pack'; fi
    size=$(($(du -sk "$to" | cut -f 1) / 1024))
    [ "$size" -lt 64 ] || die "$to has $size MiB, 64 are the most"
    say "$to has $size MiB, built from $(cat "$to/commit")"
}

case "$#:${1-}" in
2:--pack)
    pack "$2"
    exit
    ;;
1:[!-]*) ;;
*) die 'usage: on-gpu.sh --pack DIR, or on-gpu.sh OUT' ;;
esac

bin=$(cd "${BIN:-$(dirname "$0")}" && pwd)
for name in $programs; do
    [ -x "$bin/$name" ] || die "no program $name in $bin: pack it with --pack, or set BIN"
done
command -v timeout >/dev/null || die 'this needs timeout (coreutils)'
out=$(folder "$1")
end=$(($(date +%s) + ${LIMIT:-540}))
# An empty cache: kernels that someone tuned before would take the place of the default ones.
XDG_CACHE_HOME=$(mktemp -d)
export XDG_CACHE_HOME PATH="$bin:$PATH"
cd "$out"

summary() { printf '%s\n' "$*" | tee -a SUMMARY.md; }
row() { # PART RESULT STATUS SECONDS COMMAND..
    cells="$1 | $2 | $3 | $4"
    shift 4
    summary "| $cells | \`$(printf '%s' "$*" | sed "s|$bin|BIN|g")\` |"
}
failed='' late='' child='' running=''
# Writes the last line, and leaves.
verdict() {
    rm -rf "$XDG_CACHE_HOME"
    summary ''
    if [ -n "$failed" ]; then
        summary "result: FAILED:$failed${late:+; no time for:$late}" && exit 1
    elif [ -n "$late" ]; then
        summary "result: INCOMPLETE, no time for:$late" && exit 2
    fi
    summary 'result: all parts passed' && exit 0
}
trap '[ -z "$child" ] || kill "$child"; failed="$failed ${running:-all} (the run was stopped)"; verdict' HUP INT TERM

part() { # NAME SECONDS COMMAND..: runs it for so long at most, into NAME.txt
    running=$1 limit=$2 began=$(date +%s) code=0 result=passed
    shift 2
    left=$((end - began - 3))
    if [ "$left" -lt 5 ]; then
        late="$late $running"
        row "$running" 'skipped: no time left' '' '' "$*"
        return
    fi
    [ "$limit" -le "$left" ] || limit=$left
    # In the background, because a shell hears no signal while it waits for a program in the foreground.
    timeout -k 3 "$limit" "$@" >"$running.txt" 2>&1 &
    child=$!
    wait "$child" || code=$?
    child='' took=$(($(date +%s) - began))
    if [ "$code" = 124 ] || { [ "$code" = 137 ] && [ "$took" -ge "$limit" ]; }; then
        result="cut after $limit s" late="$late $running"
    elif [ "$code" != 0 ]; then
        result='**FAILED**' failed="$failed $running"
        tail -n 3 "$running.txt" >&2
    fi
    row "$running" "$result" "$code" "$took" "$*"
    # The device's peaks, and the kernels that `tune` chose.
    cp "$XDG_CACHE_HOME"/shadernet/*.json . 2>/dev/null || :
}
optional() { # NAME COMMAND..: a part with a tool that the machine may lack
    name=$1
    shift
    if command -v "$1" >/dev/null; then part "$name" 20 "$@"; else row "$name" "skipped: no $1 here" '' '' "$*"; fi
}

# The adapter first, without which there is nothing to do. A machine may have a driver, but no loader.
devices() { timeout -k 3 60 shadernet devices >devices.txt 2>&1; }
code=0 loader="the system's"
devices || {
    export LD_LIBRARY_PATH="$bin/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    loader='the packed'
    devices || code=$?
}
adapter=$(sed -n '/^\*/,/ driver /{s/^\* //p;s/^ *type  *//p;s/^ *backend  *//p;s/^ *driver  *//p;}' devices.txt |
    tr '\n' ';' | sed 's/;$//; s/;/; /g')
case $adapter in *'; CPU; '*) adapter="NO GPU, a software driver: $adapter" ;; esac
summary "adapter: ${adapter:-none: $(tail -n 1 devices.txt)}"
summary ''
summary "shadernet $(cat "$bin/commit"), $(date -u '+%Y-%m-%d %H:%M UTC'), $(uname -sm), $(nproc) cores," \
    "$loader Vulkan loader, LIMIT=${LIMIT:-540}${QUICK:+ QUICK=$QUICK}"
summary ''
summary '| part | result | exit status | s | command |'
summary '|---|---|---:|---:|---|'
[ -n "$adapter" ] && [ "$code" = 0 ] || failed=' devices'
row devices "${failed:+**FAILED**:}${failed:-passed}" "$code" '' shadernet devices
[ -z "$failed" ] || verdict

clocks='--query-gpu=name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.draw,power.limit,temperature.gpu'
networks='resnet50 mobilenet_v2 vit_b_16' batches='1 8 64' tuned='resnet50 mobilenet_v2' time=1
[ -z "${QUICK-}" ] || networks=mobilenet_v2 batches=1 tuned=mobilenet_v2 time=0.3
measure() { # BATCH
    for network in $networks; do
        for what in bench profile; do
            name=$what-$network-$1
            part "$name" 40 shadernet "$what" "$network" --batch "$1" --time "$time" --json="$name.json"
        done
    done
}

# Asked now, while there is time.
needs='import torch, torchvision, safetensors, numpy; assert torch.cuda.is_available(), "PyTorch sees no CUDA device"'
if why=$(timeout -k 3 30 python3 -c "$needs" 2>&1); then torch=yes; else torch=''; fi
optional vulkaninfo vulkaninfo --summary
optional nvidia-smi nvidia-smi "$clocks" --format=csv
part peaks 30 shadernet devices --peaks
part selftest-quick 120 shadernet selftest --quick --json=selftest-quick.json
measure 1
part decoder 60 decoder --batch "$(printf %s "$batches" | tr ' ' ,)" --json=decoder.json
part generate 20 generate
part kernels 90 kernels
for batch in ${batches#1}; do measure "$batch"; done
optional nvidia-smi-after nvidia-smi "$clocks" --format=csv
part selftest-portable 100 shadernet selftest --portable --json=selftest-portable.json
for network in $tuned; do
    part "tune-$network" 40 shadernet tune "$network" --budget 20
    part "bench-$network-tuned" 40 shadernet bench "$network" --time "$time" --json="bench-$network-tuned.json"
done

compare=$bin/benches/compare/compare.py
if [ -n "$torch" ]; then
    for network in resnet50 mobilenet_v2 decoder_decode; do
        part "compare-$network" 100 python3 "$compare" --programs "$bin" --networks "$network" --batch 1,8 \
            --peers torch-cuda,torch-cuda-tf32,torch-cuda-graph --seconds 1 --timeout 40
        mv -f "$bin/target/compare/results.json" "compare-$network.json" 2>/dev/null || :
    done
else
    row compare "skipped: $(printf '%s\n' "${why:-no answer}" | tail -n 1)" '' '' python3 "$compare"
fi
verdict
