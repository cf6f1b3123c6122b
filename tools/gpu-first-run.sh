#!/usr/bin/env bash
# The first minutes on a GPU, in one call: what the machine has, the kernels against the CPU's, recorded training steps, the
# time of a step in each precision (beside PyTorch where a Python with it is named), a short training that is stopped and
# resumed, and the same without CUDA graphs.
#
#   tools/gpu-first-run.sh [cuda|cuda:N]
#
# Builds with --features cuda; where there is no nvcc, tools/cuda-toolchain.sh lays a toolkit out first. CIFAR10_DIR names
# real CIFAR-10; without it the training uses the synthetic set. PYTHON names a Python with PyTorch (benches/requirements.txt):
# eager, as one CUDA graph and compiled, in the same precisions. Everything that is printed also goes to gpu-first-run.log;
# the exit code is that of the first step that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
device=${1:-cuda}
log=gpu-first-run.log
exec > >(tee "$log") 2>&1

step() {
    echo
    echo "== $1"
    shift
    local begun=$SECONDS
    "$@"
    echo "-- $((SECONDS - begun)) s"
}

# The empty word keeps this script's own arguments from it.
# shellcheck disable=SC1091
source tools/cuda-toolchain.sh ""
if [ -n "${CUDA_ROOT:-}" ] && [ -d "$CUDA_ROOT/lib" ]; then
    export LD_LIBRARY_PATH=$CUDA_ROOT/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
target=${CARGO_TARGET_DIR:-target}
out=$(mktemp -d "${TMPDIR:-/tmp}/gpu-first-run.XXXXXX")
trap 'rm -rf "$out"' EXIT
refig() { "$target/release/refig" "$@"; }

step "build" cargo build --locked --release --features cuda
# Every command on the GPU begins with the self-check: it refuses with exit code 6 where a kernel is wrong.
step "what is here" refig doctor
for file in tests/fixtures/*.safetensors; do
    step "parity: $file" refig parity "$file" --device "$device"
    # What shorter factors cost is shown and not judged; whether the kernels are right, the self-check has said.
    for precision in tf32 bf16; do
        step "parity in $precision: $file" refig parity "$file" --device "$device" --precision "$precision" --tolerance inf
    done
done

for network in resnet-20 resnet-110; do
    step "a step of $network, batch 128" refig bench step --network "$network" --device "$device" --steps 200
    step "the same kernel by kernel" env REFIG_CUDA_GRAPHS=off \
        "$target/release/refig" bench step --network "$network" --device "$device" --steps 200
    for precision in tf32 bf16; do
        step "the same in $precision" refig bench step --network "$network" --device "$device" --steps 200 --precision "$precision"
    done
done
if [ -n "${PYTHON:-}" ]; then
    for precision in fp32 tf32 bf16; do
        step "the same beside PyTorch, $precision" refig bench compare --networks resnet-20,resnet-110 \
            --mode eager,graphs,compile --device "$device" --precision "$precision" --pairs 10 --steps 100 --python "$PYTHON"
    done
else
    echo "-- not beside PyTorch: PYTHON names no Python that has it"
fi

# Three times the same run: stopped half way and resumed, without a stop, and without CUDA graphs. The weights must be the same.
short=(reproduce fig6 --profile smoke --device "$device" --reports-dir "$out/reports")
[ -n "${CIFAR10_DIR:-}" ] || short+=(--offline)
interrupted() {
    timeout --signal=INT 5 "$target/release/refig" "${short[@]}" --results-dir "$out/interrupted" || [ $? -eq 124 ] || [ $? -eq 130 ]
    refig "${short[@]}" --results-dir "$out/interrupted"
}
step "a short training, stopped once and resumed" interrupted
step "the same without a stop" refig "${short[@]}" --results-dir "$out/results"
step "the same kernel by kernel" env REFIG_CUDA_GRAPHS=off "$target/release/refig" "${short[@]}" --results-dir "$out/kernels"
same() {
    local count=0 run other
    for run in "$out"/results/smoke/*/; do
        run=$(basename "$run")
        for other in interrupted kernels; do
            cmp "$out/results/smoke/$run/weights.safetensors" "$out/$other/smoke/$run/weights.safetensors"
        done
        count=$((count + 1))
    done
    [ "$count" -gt 0 ] && echo "$count runs: the same weights to the bit"
}
step "the same weights all three times" same
echo
echo "all passed; see $log"
