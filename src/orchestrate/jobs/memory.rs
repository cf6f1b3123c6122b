//! How many runs the memory holds at a time.

use std::fs;
use std::path::Path;

use crate::engine::KEEP;
use crate::origin::DataName;
use crate::plan::RunPlan;

/// Bytes of a worker besides its training step: the images of CIFAR-10 in 8 bits, or the loader's pictures and mini-batches,
/// which it keeps below a gigabyte, and the program.
const CIFAR10: u64 = 400 << 20;
const IMAGENET: u64 = 1 << 30;
/// Limits above this are none: the highest that version 1 of control groups can write is near 2^63.
const NO_LIMIT: u64 = 1 << 60;

/// Runs at a time that `available` bytes hold, if each takes `needed`; at least one.
pub fn most_at_once(available: u64, needed: u64) -> usize {
    let most = available / needed.max(1);
    usize::try_from(most).unwrap_or(usize::MAX).max(1)
}

/// Bytes of a training step on the CPU or a GPU; an estimate. `keep` is the most that it keeps for its backward pass, if that is
/// given.
pub fn of_step(run: &RunPlan, on_gpu: bool, keep: Option<u64>) -> u64 {
    let recipe = &run.recipe;
    let step = run.network.memory(
        recipe.image_size,
        recipe.batch,
        recipe.micro_batch,
        recipe.precision,
    );
    let keep = keep.or((!on_gpu).then_some(KEEP as u64));
    match keep.is_some_and(|keep| step.kept.kept > keep) {
        true => step.recomputed.total,
        false => step.kept.total,
    }
}

/// Bytes of the machine's memory that a worker takes besides.
pub fn of_images(data: DataName) -> u64 {
    match data {
        DataName::Cifar10 => CIFAR10,
        DataName::Imagenet => IMAGENET,
    }
}

/// Bytes of memory that new processes can take: what the system says is available, or less by the limit of a control group.
/// `None` where nothing says so.
pub fn available() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo")
        .ok()
        .as_deref()
        .and_then(free);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limited = left_by_groups(Path::new("/sys/fs/cgroup"), &groups);
    system.into_iter().chain(limited).min()
}

/// `MemAvailable` of /proc/meminfo, in bytes.
fn free(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The least that a control group in `groups`, the text of /proc/self/cgroup, or one above it leaves, in bytes. `root` is where
/// they are mounted. Slurm and containers limit memory by them.
fn left_by_groups(root: &Path, groups: &str) -> Option<u64> {
    let mut least = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        // The second version has one tree for all controllers, the first one for each.
        let (tree, [limit, usage]) = match controllers {
            "" => (root.to_path_buf(), ["memory.max", "memory.current"]),
            "memory" => (
                root.join("memory"),
                ["memory.limit_in_bytes", "memory.usage_in_bytes"],
            ),
            _ => continue,
        };
        // Within a container the path may be that of the host, and only the root is there.
        let path = path.trim_start_matches('/');
        for group in Path::new(path).ancestors() {
            if let Some(left) = left_by(&tree.join(group), limit, usage) {
                least = Some(least.map_or(left, |least: u64| least.min(left)));
            }
        }
    }
    least
}

/// What a group leaves of its limit, if it has one. The files that its processes have read count as used, although they give
/// way, and are added again.
fn left_by(group: &Path, limit: &str, usage: &str) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let limit = number(limit).filter(|&limit| limit < NO_LIMIT)?;
    let used = number(usage)?;
    let files = read("memory.stat").as_deref().map(files);
    Some(limit.saturating_sub(used.saturating_sub(files.unwrap_or(0))))
}

/// Bytes of files in memory. The first version of control groups counts those of the groups below apart.
fn files(stat: &str) -> u64 {
    let count = |name: &str| -> Option<u64> {
        let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(key, _)| *key == name)?.1.trim().parse().ok()
    };
    ["inactive_file", "active_file"]
        .into_iter()
        .filter_map(|kind| count(&format!("total_{kind}")).or_else(|| count(kind)))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: u64 = 1 << 20;

    fn write(group: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(group).unwrap();
        for (name, text) in files {
            fs::write(group.join(name), text).unwrap();
        }
    }

    #[test]
    fn there_is_always_room_for_one() {
        assert_eq!(most_at_once(7, 2), 3);
        assert_eq!(most_at_once(1, 2), 1);
        assert_eq!(most_at_once(0, 0), 1);
    }

    #[test]
    fn what_the_system_has_is_in_bytes() {
        let text = "MemTotal:       25165824 kB\nMemFree:  1 kB\nMemAvailable:   1048576 kB\n";
        assert_eq!(free(text), Some(1 << 30));
        assert_eq!(free("MemTotal: 1 kB\n"), None);
        assert!(!cfg!(target_os = "linux") || available().is_some());
    }

    #[test]
    fn the_narrowest_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let job = root.path().join("slurm/job_7");
        write(
            &job,
            &[
                ("memory.max", "104857600\n"),
                ("memory.current", "41943040\n"),
                (
                    "memory.stat",
                    "anon 1\ninactive_file 9437184\nactive_file 1048576\n",
                ),
            ],
        );
        let task = job.join("task_0");
        write(&task, &[("memory.max", "max\n"), ("memory.current", "1\n")]);
        let groups = "0::/slurm/job_7/task_0\n";
        assert_eq!(left_by_groups(root.path(), groups), Some(70 * MEBIBYTE));
        assert_eq!(left_by_groups(root.path(), "0::/elsewhere\n"), None);
        // Another tree for memory, and the number that stands for no limit.
        let first = root.path().join("memory");
        let usage = ("memory.usage_in_bytes", "1048576\n");
        write(
            &first,
            &[("memory.limit_in_bytes", "9223372036854771712\n"), usage],
        );
        write(
            &first.join("box"),
            &[("memory.limit_in_bytes", "3145728\n"), usage],
        );
        let groups = "5:devices:/\n4:memory:/box/inner\n0::/\n";
        assert_eq!(left_by_groups(root.path(), groups), Some(2 * MEBIBYTE));
    }
}
