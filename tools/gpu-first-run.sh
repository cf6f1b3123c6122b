#!/usr/bin/env bash
# Checks a GPU from scratch: lists the hardware, compares the kernels with the CPU's, replays recorded training steps, times
# a step in each precision, and trains briefly: with a stop and a resume, without a stop, and without CUDA graphs; and on
# photographs that it makes, also with little memory and with mini-batches in pieces.
#
#   tools/gpu-first-run.sh [cuda|cuda:N]
#
# Builds with --features cuda; without nvcc, tools/cuda-toolchain.sh installs a toolkit first. CIFAR10_DIR names real
# CIFAR-10; without it the training uses the synthetic set. If PYTHON names a Python with PyTorch (benches/requirements.txt),
# steps are also compared with PyTorch's: eager, as one CUDA graph and compiled, in the same precisions. All output is also
# written to gpu-first-run.log. Exits with the code of the first step that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
device=${1:-cuda}
log=gpu-first-run.log
exec > >(tee "$log") 2>&1

step() {
    echo
    echo "== $1"
    shift
    local start=$SECONDS
    "$@"
    echo "-- $((SECONDS - start)) s"
}

# The empty argument keeps this script's arguments from being passed on.
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
# Every command on the GPU starts with a self-check, which exits with code 6 if a kernel is wrong.
step "hardware" refig doctor
for file in tests/fixtures/*.safetensors; do
    step "parity: $file" refig parity "$file" --device "$device"
    # Reduced precision is only reported; the self-check has verified the kernels.
    for precision in tf32 bf16; do
        step "parity in $precision: $file" refig parity "$file" --device "$device" --precision "$precision" --tolerance 1000
    done
done

for network in resnet-20 resnet-110; do
    step "a step of $network, batch 128, and batch norm over groups of 64" \
        refig bench step --network "$network" --device "$device" --steps 200 --group 64
    step "the same without CUDA graphs" env REFIG_CUDA_GRAPHS=off \
        "$target/release/refig" bench step --network "$network" --device "$device" --steps 200
    for precision in tf32 bf16; do
        step "the same in $precision" refig bench step --network "$network" --device "$device" --steps 200 --precision "$precision"
    done
done
if [ -n "${PYTHON:-}" ]; then
    for precision in fp32 tf32 bf16; do
        step "the same next to PyTorch, $precision" refig bench compare --networks resnet-20,resnet-110 \
            --mode eager,graphs,compile --device "$device" --precision "$precision" --pairs 10 --steps 100 --python "$PYTHON"
    done
else
    echo "-- no comparison with PyTorch: PYTHON is not set"
fi

# The same run three times: stopped and resumed, without a stop, and without CUDA graphs. The weights must be identical.
short=(reproduce fig6 --profile smoke --device "$device" --reports-dir "$out/reports")
[ -n "${CIFAR10_DIR:-}" ] || short+=(--offline)
interrupted() {
    timeout --signal=INT 5 "$target/release/refig" "${short[@]}" --results-dir "$out/interrupted" || [ $? -eq 124 ] || [ $? -eq 130 ]
    refig "${short[@]}" --results-dir "$out/interrupted"
}
step "a short training, stopped once and resumed" interrupted
step "the same without a stop" refig "${short[@]}" --results-dir "$out/results"
step "the same without CUDA graphs" env REFIG_CUDA_GRAPHS=off "$target/release/refig" "${short[@]}" --results-dir "$out/kernels"
same() {
    local count=0 run other
    for run in "$out"/results/smoke/*/; do
        run=$(basename "$run")
        for other in interrupted kernels; do
            cmp "$out/results/smoke/$run/weights.safetensors" "$out/$other/smoke/$run/weights.safetensors"
        done
        count=$((count + 1))
    done
    [ "$count" -gt 0 ] && echo "$count runs: identical weights"
}
step "identical weights in all three" same

# photographs NAME [ARGUMENT...]: trains on photographs that the program makes, with results in a folder of that name. Their crops
# are normalised on the GPU, at the end also at other sizes. Code 5 says that at this scale nothing is comparable with the paper.
photographs() {
    local name=$1 code=0
    shift
    env -u IMAGENET_DIR REFIG_CACHE="$out/cache" "$target/release/refig" reproduce fig4 --profile smoke --device "$device" "$@" \
        --results-dir "$out/$name" --reports-dir "$out/reports" || code=$?
    [ "$code" -eq 5 ] || return "$code"
}
step "a short training on photographs" photographs photographs
# Activations that are made again have the same bits; pieces of a mini-batch are summed in another order.
frugal() {
    local run
    photographs frugal --networks resnet-34 --keep-memory 1
    for run in "$out"/frugal/smoke/*/; do
        cmp "$run/weights.safetensors" "$out/photographs/smoke/$(basename "$run")/weights.safetensors"
    done
}
step "the same with activations made again: identical weights" frugal
step "the same with mini-batches in pieces" photographs pieces --networks resnet-34 --set recipe.batch_norm.group=8 \
    --set recipe.micro_batch=8
for network in resnet-34 resnet-50; do
    step "a step of $network, batch 64" refig bench step --network "$network" --device "$device" --batch 64 --steps 20
    step "the same with activations made again" refig bench step --network "$network" --device "$device" --batch 64 --steps 20 \
        --keep-memory 1
done
echo
echo "all steps passed, log in $log"
