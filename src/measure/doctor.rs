//! The hardware and drivers of this machine, and what is missing for training.

use std::process::Command;

use serde::Serialize;

use super::proc_kilobytes;
use crate::engine::{self, BUILD_WITH_CUDA, Options};
use crate::processor::Instructions;
use crate::run;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub what: &'static str,
    pub found: String,
    /// What is missing and how to get it, if anything.
    pub missing: Option<String>,
}

impl Finding {
    pub fn new(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            what,
            found: found.into(),
            missing: None,
        }
    }

    pub fn missing(self, missing: impl Into<String>) -> Self {
        Self {
            missing: Some(missing.into()),
            ..self
        }
    }
}

/// Checks processor, memory, driver and GPUs. A build with CUDA opens every GPU and checks its kernels.
pub fn machine() -> Vec<Finding> {
    let mut found = vec![
        Finding::new("processor", processor()),
        Finding::new("threads", Options::default().thread_count().to_string()),
        instructions(),
        Finding::new("memory", memory().unwrap_or_else(|| "unknown".into())),
    ];
    let driver = driver();
    let present = driver.is_some();
    found.push(match driver {
        Some(driver) => Finding::new("NVIDIA driver", driver),
        None => Finding::new("NVIDIA driver", "none").missing(
            "an NVIDIA GPU with driver 580 or later trains in hours what takes the CPU weeks",
        ),
    });
    let build = Finding::new(
        "CUDA in this build",
        if engine::has_cuda() { "yes" } else { "no" },
    );
    found.push(match engine::has_cuda() || !present {
        true => build,
        false => build.missing(format!(
            "this build supports only the CPU; to build for the GPU: {BUILD_WITH_CUDA}"
        )),
    });
    found.extend(gpus(present));
    found
}

fn processor() -> String {
    Some(run::cpu())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| std::env::consts::ARCH.into())
}

fn instructions() -> Finding {
    let available: Vec<&str> = Instructions::ALL
        .into_iter()
        .filter(|set| set.available())
        .map(Instructions::name)
        .collect();
    let best = Instructions::detect();
    let found = Finding::new(
        "instruction sets",
        format!("{}; uses {}", available.join(", "), best.name()),
    );
    match best {
        Instructions::Portable => {
            found.missing("AVX2 or AVX-512: training is several times slower without them")
        }
        _ => found,
    }
}

fn memory() -> Option<String> {
    let total = proc_kilobytes("/proc/meminfo", "MemTotal")?;
    let available = proc_kilobytes("/proc/meminfo", "MemAvailable")?;
    Some(format!(
        "{} MB, {} MB available",
        total >> 10,
        available >> 10
    ))
}

/// Version of the loaded driver.
fn driver() -> Option<String> {
    let text = std::fs::read_to_string("/proc/driver/nvidia/version").ok()?;
    let line = text.lines().next()?;
    Some(line.trim_start_matches("NVRM version:").trim().into())
}

fn gpus(driver: bool) -> Vec<Finding> {
    if !engine::has_cuda() {
        // Without CUDA, only the driver's own tool can list GPUs.
        let listed = if driver { list() } else { Vec::new() };
        return match listed.is_empty() {
            true => vec![Finding::new("GPU", "none found")],
            false => listed
                .into_iter()
                .map(|gpu| Finding::new("GPU", gpu))
                .collect(),
        };
    }
    match engine::cards() {
        Err(why) => vec![Finding::new("GPU", "none usable").missing(why)],
        Ok(cards) if cards.is_empty() => {
            vec![Finding::new("GPU", "none").missing("the driver lists no GPU")]
        }
        Ok(cards) => cards
            .into_iter()
            .map(|card| {
                let (major, minor) = card.capability;
                let gigabytes = card.memory as f64 / f64::from(1 << 30);
                let found = Finding::new(
                    "GPU",
                    format!(
                        "cuda:{} {}, {gigabytes:.0} GB, capability {major}.{minor}",
                        card.number, card.name
                    ),
                );
                match engine::usable(card.number) {
                    Ok(_) => Finding {
                        found: found.found + ", kernels agree with the CPU's",
                        ..found
                    },
                    Err(why) => found.missing(why),
                }
            })
            .collect(),
    }
}

/// The GPUs that `nvidia-smi` lists.
fn list() -> Vec<String> {
    let output = Command::new("nvidia-smi")
        .args([
            "--query-gpu=index,name,memory.total",
            "--format=csv,noheader",
        ])
        .output();
    let text = output
        .ok()
        .filter(|output| output.status.success())
        .map(|output| output.stdout);
    let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
    text.lines()
        .map(|line| format!("cuda:{}", line.trim()))
        .collect()
}
