//! Real runs on a real Slurm: a cluster of one node, started without systemd from Debian's packages. Of four tasks, one is warned,
//! one worker is killed with SIGKILL, one task is cancelled, and one is first preempted and then reaches its time limit. The
//! results equal those of this process to the bit. Skipped where Slurm is not installed.
#![cfg(unix)]

mod common;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::tiny::assert_same_results;
use refig::run;

/// Long enough to be stopped on the way, short enough to be made twice.
const ITERATIONS: &str = "recipe.iterations=300";
const PATIENCE: Duration = Duration::from_secs(240);

/// The programs of a cluster, also where only root has their folder on the PATH.
fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin:/usr/local/sbin")
}

/// Why there is no cluster here.
fn missing() -> Option<&'static str> {
    let needed = [
        "munged",
        "slurmctld",
        "slurmd",
        "sbatch",
        "squeue",
        "scontrol",
        "scancel",
    ];
    let path = path();
    needed.into_iter().find(|name| {
        let mut folders = std::env::split_paths(&path);
        !folders.any(|folder| folder.join(name).is_file())
    })
}

/// A program's output, which has to be a success.
fn ended_well(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\n{out}\n{err}", output.status)
}

/// Daemons and jobs of one node, stopped on drop.
struct Cluster {
    folder: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl Cluster {
    fn start() -> Self {
        let mut cluster = Self {
            folder: tempfile::tempdir().unwrap(),
            daemons: Vec::new(),
        };
        for name in ["munge", "state", "spool", "log"] {
            let folder = cluster.at(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        // Others, such as a daemon's user, look for the socket.
        std::fs::set_permissions(
            cluster.folder.path(),
            std::fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        let key: Vec<u8> = (0..1024u32).map(|place| (place * 31 % 251) as u8).collect();
        std::fs::write(cluster.at("munge/key"), key).unwrap();
        std::fs::set_permissions(
            cluster.at("munge/key"),
            std::fs::Permissions::from_mode(0o600),
        )
        .unwrap();

        let host = ended_well(Command::new("hostname").arg("-s"));
        let user = ended_well(Command::new("id").arg("-un"));
        let (host, user) = (host.trim(), user.trim());
        let [first, second] = ports();
        let root = cluster.folder.path().display();
        let text = format!(
            "ClusterName=refig\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={first}\nSlurmdPort={second}\n\
             SlurmUser={user}\nSlurmdUser={user}\nAuthType=auth/munge\n\
             AuthInfo=socket={root}/munge/socket,cred_expire=5\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\n\
             SelectTypeParameters=CR_CPU\nReturnToService=2\nSlurmdParameters=config_overrides\n\
             StateSaveLocation={root}/state\nSlurmdSpoolDir={root}/spool\n\
             SlurmctldPidFile={root}/slurmctld.pid\nSlurmdPidFile={root}/slurmd.pid\n\
             JobAcctGatherType=jobacct_gather/none\nAccountingStorageType=accounting_storage/none\n\
             MpiDefault=none\nMailProg=/bin/true\nKillWait=5\nSchedulerParameters=sched_interval=2,bf_interval=2\n\
             PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN\n\
             PartitionName=main Nodes=ALL Default=YES PriorityTier=1 State=UP\n\
             PartitionName=urgent Nodes=ALL PriorityTier=2 State=UP\n"
        );
        std::fs::write(cluster.at("slurm.conf"), text).unwrap();
        let munge = cluster.at("munge").display().to_string();
        let munged = [
            "--foreground".to_owned(),
            "--force".into(),
            "--num-threads=2".into(),
            format!("--key-file={munge}/key"),
            format!("--socket={munge}/socket"),
            format!("--pid-file={munge}/pid"),
            format!("--log-file={munge}/log"),
            format!("--seed-file={munge}/seed"),
        ];
        cluster.daemon("munged", &munged);
        cluster.until("munged's socket", |cluster| {
            cluster.at("munge/socket").exists()
        });
        // It is for others of the same user only by the folder that it is in.
        std::fs::set_permissions(cluster.at("munge"), std::fs::Permissions::from_mode(0o755))
            .unwrap();
        cluster.daemon("slurmctld", &["-D".to_owned(), "-c".into()]);
        cluster.daemon(
            "slurmd",
            &["-D".to_owned(), "-c".into(), "-N".into(), host.to_owned()],
        );
        cluster.until("an idle node", |cluster| {
            let nodes = cluster.command("sinfo").args(["-h", "-o", "%T"]).output();
            nodes.is_ok_and(|nodes| String::from_utf8_lossy(&nodes.stdout).trim() == "idle")
        });
        cluster
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program with the cluster's environment.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if ["SLURM_", "SBATCH_", "SQUEUE_"]
                .iter()
                .any(|begin| name.starts_with(begin))
            {
                command.env_remove(&variable);
            }
        }
        command
            .env("PATH", path())
            .env("SLURM_CONF", self.at("slurm.conf"))
            .env("REFIG_CACHE", self.at("cache"))
            .env_remove("CIFAR10_DIR");
        command
    }

    fn daemon(&mut self, program: &str, arguments: &[String]) {
        let log = std::fs::File::create(self.at("log").join(program)).unwrap();
        let child = self
            .command(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.daemons.push(child.unwrap());
    }

    /// Waits until something holds.
    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            if begun.elapsed() > PATIENCE {
                panic!("there is no {what}; {}", self.logs());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn logs(&self) -> String {
        let mut all = String::new();
        for folder in [self.at("log"), self.at("munge")] {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                let from = text.len().saturating_sub(3000);
                let end = text.get(from..).unwrap_or_default();
                all.push_str(&format!("== {}\n{end}\n", entry.path().display()));
            }
        }
        all
    }

    fn queue(&self) -> String {
        ended_well(self.command("squeue").args(["-h", "-o", "%i %T %R"]))
    }

    /// `refig reproduce` of the tiny experiment with its results in a folder.
    fn reproduce(&self, folder: &Path, more: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_refig"))
            .args(["reproduce", "tiny", "--profile", "tiny", "--seeds", "1,2"])
            .args([
                "--set",
                ITERATIONS,
                "--offline",
                "--device",
                "cpu",
                "--threads",
                "1",
            ])
            .args(["--experiments-dir", "tests/fixtures/experiments"])
            .arg("--results-dir")
            .arg(folder.join("results"))
            .arg("--reports-dir")
            .arg(folder.join("reports"))
            .args(more)
            .output()
            .unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self
            .command("scancel")
            .args(["--me", "--signal=KILL", "--full"])
            .output();
        let _ = self.command("scancel").arg("--me").output();
        std::thread::sleep(Duration::from_secs(1));
        for daemon in self.daemons.iter_mut().rev() {
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
            let begun = Instant::now();
            while matches!(daemon.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(10)
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// Two ports that are free at the moment.
fn ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// The folders of the finished runs by name.
fn finished(folder: &Path) -> Vec<PathBuf> {
    let views = run::find(&folder.join("results")).unwrap();
    let done = views.into_iter().filter(|view| view.ending.is_final());
    let mut folders: Vec<PathBuf> = done.map(|view| view.folder).collect();
    folders.sort();
    folders
}

/// The folder of the plan's run number `index` in the results folder.
fn run_of(index: usize, folder: &Path) -> String {
    let launches = std::fs::read_dir(folder.join("results/.launches")).unwrap();
    let mut plans = launches.map(|entry| entry.unwrap().path().join("plan.toml"));
    let plan = plans.find(|path| path.is_file()).unwrap();
    let plan = refig::orchestrate::plan_file::read(&plan).unwrap();
    plan.runs[index].plan.folder()
}

/// The process that works on the plan's run number `index`, which is on its way.
fn worker(index: usize, folder: &Path) -> Option<String> {
    let (results, run) = (folder.join("results"), run_of(index, folder));
    if !results.join(&run).join("progress.json").exists() {
        return None;
    }
    let lock = results.join(".locks").join(run.replace('/', "--"));
    let owner = std::fs::read_to_string(lock).ok()?;
    let process = owner.split_whitespace().nth(1)?.to_owned();
    // The owner of before is in the file until there is another.
    signalled("-0", &process).then_some(process)
}

/// Sends a signal to a process, and says whether there is one.
fn signalled(signal: &str, process: &str) -> bool {
    let output = Command::new("kill").args([signal, process]).output();
    output.unwrap().status.success()
}

#[test]
fn a_cluster_makes_the_same_runs_whatever_happens_to_them() {
    if let Some(name) = missing() {
        println!("SKIPPED: no {name} here; `apt-get install slurm-wlm munge`");
        return;
    }
    let cluster = Cluster::start();
    let (local, remote) = (cluster.at("local"), cluster.at("it's \"remote\" 100%"));
    std::fs::create_dir(&remote).unwrap();
    let site = cluster.at("site.toml");
    std::fs::write(
        &site,
        // The shortest limit that Slurm knows is a minute. It looks every half minute, and warns a task early rather than late: 10
        // to 40 seconds after its begin.
        "partition = \"main\"\ntime = \"1\"\nwarning = 20\nmax_requeues = 50\ncheckpoint_every = 1\n",
    )
    .unwrap();
    let launch = ["--launch", "slurm", "--site", site.to_str().unwrap()];
    let submitted = cluster.reproduce(&remote, &launch);
    assert!(submitted.status.success(), "{}", said(&submitted));
    let out = String::from_utf8_lossy(&submitted.stdout);
    let numbers: Vec<&str> = out
        .lines()
        .filter_map(|line| line.strip_prefix("job ")?.split(':').next())
        .collect();
    assert_eq!(numbers.len(), 2, "{out}");

    // Two of the four run at once. One is warned, the other's worker killed.
    cluster.until("worker of two runs", |_| {
        worker(0, &remote).is_some() && worker(1, &remote).is_some()
    });
    let killed = worker(1, &remote).unwrap();
    assert!(signalled("-KILL", &killed));
    let task = |index: usize| format!("{}_{index}", numbers[0]);
    let logs = || {
        let launches = remote.join("results/.launches");
        let tails = Command::new("sh")
            .args(["-c", "tail -n 30 \"$0\"/*/*.log"])
            .arg(launches)
            .output();
        said(&tails.unwrap())
    };
    // Where the task is queued again at once, it tries again for half a minute, and fails in the end.
    let mut warning = cluster
        .command("scancel")
        .args(["--batch", "--signal=USR1", &task(0)])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let log = |index: usize| {
        let launches = std::fs::read_dir(remote.join("results/.launches")).unwrap();
        let name = format!("{}.log", task(index));
        let mut paths = launches.map(|entry| entry.unwrap().path().join(&name));
        let path = paths.find(|path| path.is_file());
        path.map_or(String::new(), |path| std::fs::read_to_string(path).unwrap())
    };
    cluster.until("task that is queued again", |_| {
        log(0).contains("stopped; queueing it again")
    });
    let _ = warning.kill();
    let _ = warning.wait();

    // Nothing that is queued is submitted again.
    let second = cluster.reproduce(&remote, &launch);
    assert!(second.status.success(), "{}", said(&second));
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        told.contains("1 submitted") || told.contains("0 submitted"),
        "{told}"
    );

    // Of the other two, one is cancelled.
    cluster.until("worker of the third run", |_| worker(2, &remote).is_some());
    ended_well(cluster.command("scancel").arg(task(2)));
    // The other has to make room for a job of a partition that goes before.
    cluster.until("worker of the fourth run", |_| worker(3, &remote).is_some());
    let urgent = ["--partition=urgent", "--cpus-per-task=2", "--wrap=true"];
    ended_well(
        cluster
            .command("sbatch")
            .args(urgent)
            .arg("--output=/dev/null"),
    );
    cluster.until("task that is preempted", |_| {
        log(3).contains("PREEMPTION") && log(3).contains("stopped; left to Slurm")
    });
    // Then it reaches its time limit: it does not get on, so that it cannot end before.
    cluster.until("worker that goes on", |_| {
        worker(3, &remote).is_some_and(|process| signalled("-STOP", &process))
    });
    cluster.until("warning of the time limit", |_| {
        log(3).contains("warned of the time limit")
    });
    signalled("-CONT", &worker(3, &remote).unwrap_or_default());
    cluster.until("task that is queued again at its limit", |_| {
        log(3).contains("stopped; queueing it again")
    });

    cluster.until("end of all jobs", |cluster| cluster.queue().is_empty());
    assert!(log(2).contains("stopped; left to Slurm"), "{}", logs());
    let done = finished(&remote);
    let is_done = |index: usize| {
        let run = remote.join("results").join(run_of(index, &remote));
        done.contains(&run)
    };
    assert!(is_done(3) && !is_done(2), "{}", logs());
    // The cancelled one, and the killed one, if its task had not ended when the second start asked.
    let third = cluster.reproduce(&remote, &launch);
    cluster.until("end of all jobs", |cluster| cluster.queue().is_empty());
    assert_eq!(finished(&remote).len(), 4, "{}\n{}", said(&third), logs());
    assert!(logs().contains("Killed"), "{}", logs());

    // The job that draws and checks has waited for the others.
    let report = remote.join("reports/tiny");
    assert!(report.is_dir(), "{}", logs());
    // Now there is nothing to submit.
    let last = cluster.reproduce(&remote, &launch);
    let told = String::from_utf8_lossy(&last.stderr).into_owned();
    assert!(told.contains("all 4 runs are complete"), "{told}");

    let here = cluster.reproduce(&local, &["--quiet"]);
    assert_eq!(finished(&local).len(), 4, "{}", said(&here));
    assert_same_results(&local, &remote);
}
