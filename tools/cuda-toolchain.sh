#!/usr/bin/env bash
# Installs a CUDA 13.0 toolkit from NVIDIA's Python wheels, for building the `cuda` feature on a machine without a toolkit
# or a GPU. The program then runs on machines with a CUDA 13 driver (580 or later).
#
#   source tools/cuda-toolchain.sh [DIR]      default DIR: ${XDG_CACHE_HOME:-~/.cache}/refig-cuda-13.0
#   tools/cuda-toolchain.sh [DIR]             installs it and prints the variables to export
#
# Sets CUDA_ROOT, CUDA_PATH, CUDA_COMPUTE_CAP (default 90: the GPU that dfdx's own kernels are compiled for), PATH and
# LIBRARY_PATH. If nvcc and nvidia-smi are on the PATH already, it does nothing.
# Needs python3 with venv and gcc. The first call downloads about 700 MB and uses 1.5 GB of disk.
#
# nvcc stays at 13.0, because a 580 driver rejects the PTX of newer versions. libcuda.so.1 is a stub for the linker, in a
# folder that is not searched at run time, so that an installed driver's library is found. LD_LIBRARY_PATH is not set: to
# run the program, add $CUDA_ROOT/lib (cuBLAS and NVRTC) to it, and without a driver also $CUDA_ROOT/stubs, with which
# every CUDA call returns "no device".

_refig_cuda_install() (
    set -eu
    dir=$1
    for tool in python3 gcc; do
        command -v "$tool" >/dev/null || { echo "cuda-toolchain: $tool is needed" >&2; exit 1; }
    done
    mkdir -p "$(dirname "$dir")"
    # One process installs; others wait, then find "done".
    exec 9>"$dir.lock"
    if command -v flock >/dev/null; then flock 9; fi
    [ ! -e "$dir/done" ] || exit 0
    rm -rf "$dir"
    mkdir -p "$dir/lib" "$dir/stubs" "$dir/bin"
    python3 -m venv "$dir/venv" || { echo "cuda-toolchain: python3 has no venv (apt-get install python3-venv)" >&2; exit 1; }
    # dfdx needs the libraries of the driver, cuBLAS and NVRTC and the half-precision headers, but not cuDNN.
    "$dir/venv/bin/pip" install -q --no-deps --no-cache-dir --no-compile --disable-pip-version-check \
        'nvidia-cuda-nvcc==13.0.*' 'nvidia-cuda-crt==13.0.*' 'nvidia-nvvm==13.0.*' 'nvidia-cuda-runtime==13.0.*' \
        'nvidia-cuda-cccl==13.0.*' 'nvidia-cublas==13.0.*' 'nvidia-cuda-nvrtc==13.0.*'
    site=$(echo "$dir"/venv/lib/python3*/site-packages/nvidia/cu13)
    [ -f "$site/include/cuda.h" ] || { echo "cuda-toolchain: no cuda.h in the wheels" >&2; exit 1; }
    ln -s "$site/include" "$dir/include"
    ln -s "$site/nvvm" "$dir/nvvm"
    for so in "$site"/lib/*.so.*; do
        name=${so##*/}
        ln -sf "$so" "$dir/lib/$name"
        ln -sf "$so" "$dir/lib/${name%%.so*}.so"
    done
    # No wheel has the driver's library, so stub it: every cu* function in its header returns CUDA_ERROR_NO_DEVICE (100).
    grep -ohE '\bcu[A-Z][A-Za-z0-9]*(_v[0-9]+)?(_ptsz|_ptds)?\b' "$dir/include/cuda.h" | sort -u \
        | sed 's/.*/int &(void){return 100;}/' >"$dir/stubs/libcuda.c"
    gcc -shared -fPIC -w -Wl,-soname,libcuda.so.1 -o "$dir/stubs/libcuda.so.1" "$dir/stubs/libcuda.c"
    # Only the linker's name for it goes next to the real libraries.
    ln -s ../stubs/libcuda.so.1 "$dir/lib/libcuda.so"
    # dfdx's build script runs nvidia-smi before it reads CUDA_COMPUTE_CAP.
    cat >"$dir/bin/nvidia-smi" <<'SMI'
#!/bin/sh
# Replaces the driver's tool in builds without a driver: reports only the GPU to build for.
case "$*" in *compute_cap*) ;; *) echo "no NVIDIA driver on this machine" >&2; exit 9 ;; esac
cap=${CUDA_COMPUTE_CAP:-90}
printf 'compute_cap\n%s.%s\n' "${cap%?}" "${cap#"${cap%?}"}"
SMI
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$site/bin/nvcc" >"$dir/bin/nvcc"
    chmod +x "$dir"/bin/* "$site"/bin/* "$site"/nvvm/bin/* 2>/dev/null || true
    "$dir/bin/nvcc" --version >/dev/null
    touch "$dir/done"
)

_refig_cuda() {
    local dir=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/refig-cuda-13.0}
    if command -v nvcc >/dev/null && command -v nvidia-smi >/dev/null; then
        echo "cuda-toolchain: using $(command -v nvcc)" >&2
        return 0
    fi
    _refig_cuda_install "$dir" || return 1
    export CUDA_ROOT=$dir CUDA_PATH=$dir CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}
    export PATH=$dir/bin:$PATH LIBRARY_PATH=$dir/lib${LIBRARY_PATH:+:$LIBRARY_PATH}
    echo "cuda-toolchain: CUDA $("$dir/bin/nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p') in $dir" >&2
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    _refig_cuda "$@" || exit 1
    for _variable in CUDA_ROOT CUDA_PATH CUDA_COMPUTE_CAP PATH LIBRARY_PATH; do
        [ -z "${!_variable:-}" ] || printf 'export %s=%q\n' "$_variable" "${!_variable}"
    done
else
    _refig_cuda "$@"
fi
