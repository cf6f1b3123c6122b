//! Records the compiler version and a digest of the sources for the provenance of runs. With the feature `cuda`, compiles
//! the GPU kernels.

// Cargo shows what a build script prints where it fails.
#![allow(clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::Command;

#[allow(dead_code, reason = "the program uses the rest")]
#[path = "src/digest.rs"]
mod digest;
#[path = "src/run/sources.rs"]
mod sources;

/// Compute capabilities with native code: A100, whose code also runs on 8.6 and 8.9, and H100/H200.
const NATIVE: [&str; 2] = ["80", "90"];
/// The lowest supported compute capability. The drivers of newer GPUs compile its intermediate code (PTX).
const LOWEST: &str = "80";

fn main() {
    for part in sources::PARTS {
        println!("cargo:rerun-if-changed={part}");
    }
    let version = std::env::var_os("RUSTC")
        .and_then(|rustc| Command::new(rustc).arg("--version").output().ok())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    println!("cargo:rustc-env=REFIG_RUSTC={}", version.trim());
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let sources = sources::digest(Path::new(&root)).expect("cargo has just read the sources");
    println!("cargo:rustc-env=REFIG_SOURCES={sources}");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_some() {
        kernels();
    }
}

/// Compiles all kernels into one image for the driver, `kernels.fatbin`. Without nvcc the image is empty, which is enough
/// for `cargo check --features cuda,dfdx/ci-check`; other builds fail in dfdx's build script, which needs nvcc too.
fn kernels() {
    let folder = Path::new("src/engine/cuda/kernels");
    println!("cargo:rerun-if-changed={}", folder.display());
    for variable in ["NVCC", "CUDA_ROOT", "CUDA_PATH", "PATH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let image = out.join("kernels.fatbin");
    let Some(nvcc) = nvcc() else {
        println!("cargo:warning=nvcc not found: built without kernels, will not run on a GPU");
        std::fs::write(&image, []).expect("cargo's OUT_DIR is writable");
        return;
    };
    let mut command = Command::new(&nvcc);
    command.args(["-O3", "--std=c++17", "--fatbin"]);
    for capability in NATIVE {
        command.arg(format!(
            "-gencode=arch=compute_{capability},code=sm_{capability}"
        ));
    }
    command.arg(format!(
        "-gencode=arch=compute_{LOWEST},code=compute_{LOWEST}"
    ));
    command.arg(folder.join("refig.cu")).arg("-o").arg(&image);
    let output = command.output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            eprintln!("{}", String::from_utf8_lossy(&output.stdout));
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            eprintln!("{} failed to compile {}", nvcc.display(), folder.display());
            std::process::exit(1);
        }
        Err(error) => {
            eprintln!("cannot start {}: {error}", nvcc.display());
            std::process::exit(1);
        }
    }
}

/// `NVCC`, or nvcc in `CUDA_ROOT` or `CUDA_PATH`, or the first on the `PATH`.
fn nvcc() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("NVCC").filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let roots = ["CUDA_ROOT", "CUDA_PATH"]
        .into_iter()
        .filter_map(std::env::var_os)
        .map(|root| PathBuf::from(root).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    roots
        .chain(std::env::split_paths(&path).collect::<Vec<_>>())
        .map(|folder| folder.join("nvcc"))
        .find(|file| file.is_file())
}
