//! What a machine has to train with, and what is missing.

use std::process::Command;

use serde::Serialize;

use crate::engine::{self, BUILD_WITH_CUDA, Instructions, Options};

/// One thing that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub what: &'static str,
    pub found: String,
    /// What is missing and how to come by it, in words; none where nothing is.
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

/// Processor, memory, driver and GPUs. A build with CUDA opens the first GPU and checks its kernels.
pub fn machine() -> Vec<Finding> {
    let mut found = vec![
        Finding::new("processor", processor()),
        Finding::new("threads", Options::default().thread_count().to_string()),
        instructions(),
        Finding::new(
            "memory",
            memory().unwrap_or_else(|| "not told by the system".into()),
        ),
    ];
    let driver = driver();
    let present = driver.is_some();
    found.push(match driver {
        Some(driver) => Finding::new("NVIDIA driver", driver),
        None => Finding::new("NVIDIA driver", "none")
            .missing("a GPU with NVIDIA's driver, 580 or later, trains in hours what the CPU trains in weeks"),
    });
    let build = Finding::new(
        "CUDA in this build",
        if engine::has_cuda() { "yes" } else { "no" },
    );
    found.push(match engine::has_cuda() || !present {
        true => build,
        false => build.missing(format!(
            "this build trains on the CPU; one for the GPU: {BUILD_WITH_CUDA}"
        )),
    });
    found.extend(gpus(present));
    found
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(
        || std::env::consts::ARCH.into(),
        |(_, name)| name.trim().into(),
    )
}

fn instructions() -> Finding {
    let there: Vec<&str> = Instructions::ALL
        .into_iter()
        .filter(|set| set.available())
        .map(Instructions::name)
        .collect();
    let best = Instructions::detect();
    let found = Finding::new(
        "instruction sets",
        format!("{}; takes {}", there.join(", "), best.name()),
    );
    match best {
        Instructions::Portable => {
            found.missing("AVX2 or AVX-512: training is several times slower without")
        }
        _ => found,
    }
}

fn memory() -> Option<String> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = |name: &str| -> Option<u64> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    let (all, free) = (kilobytes("MemTotal")?, kilobytes("MemAvailable")?);
    Some(format!("{} MB, {} MB available", all >> 10, free >> 10))
}

/// The loaded driver's version.
fn driver() -> Option<String> {
    let text = std::fs::read_to_string("/proc/driver/nvidia/version").ok()?;
    let line = text.lines().next()?;
    Some(line.trim_start_matches("NVRM version:").trim().into())
}

fn gpus(driver: bool) -> Vec<Finding> {
    if !engine::has_cuda() {
        // What the driver's own tool says: this build cannot ask.
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
            vec![Finding::new("GPU", "none").missing("the driver shows no GPU")]
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
                        found: found.found + ", its kernels agree with the CPU's",
                        ..found
                    },
                    Err(why) => found.missing(why),
                }
            })
            .collect(),
    }
}

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
