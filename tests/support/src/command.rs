//! Commands inside a lab: run to their end with what they printed, or kept running.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The way into a lab: the namespaces of its PID 1, which a command joins.
///
/// Held open, not named by a pid: a pid that the kernel has given to another would lead out of the lab.
#[derive(Clone, Debug)]
pub(crate) struct Entrance(Arc<Namespaces>);

#[derive(Debug)]
struct Namespaces {
    mount: File,
    pid: File,
    network: File,
    ipc: File,
    uts: File,
    /// The lab's root directory.
    root: File,
    /// The directory for what spawned commands print.
    logs: PathBuf,
}

/// A command to be run inside a lab, in the engine's network.
#[derive(Clone, Debug)]
#[must_use = "a command does nothing until it is run or spawned"]
pub struct Command {
    entrance: Entrance,
    program: String,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: Vec<u8>,
    timeout: Duration,
}

/// What a command that ended has left.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command as it was given, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed, read as UTF-8.
    pub stdout: String,
    /// What it complained of, read as UTF-8.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
}

/// A command that keeps running inside a lab. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    entrance: Entrance,
    name: String,
    /// As the lab counts it.
    pid: u32,
    child: Mutex<Child>,
}

// === impl Entrance ===

impl Entrance {
    /// The way into the lab whose PID 1 the host knows as `pid`. What is spawned prints into the directory `logs`.
    pub(crate) fn open(pid: u32, logs: PathBuf) -> Result<Self> {
        let open = |what: &str| {
            let path = format!("/proc/{pid}/{what}");
            File::open(&path).with_context(|| format!("opening `{path}`"))
        };
        Ok(Self(Arc::new(Namespaces {
            mount: open("ns/mnt")?,
            pid: open("ns/pid")?,
            network: open("ns/net")?,
            ipc: open("ns/ipc")?,
            uts: open("ns/uts")?,
            root: open("root")?,
            logs,
        })))
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        Command {
            entrance: self.clone(),
            program: program.to_owned(),
            args: Vec::new(),
            environment: Vec::new(),
            stdin: Vec::new(),
            timeout: TIMEOUT,
        }
    }

    /// Where the test finds the lab's `path`. Absolute links in the lab's path would lead astray.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}{path}", held(&self.0.root)))
    }

    /// What the process spawned as `name` has printed, over all its runs.
    pub(crate) fn log(&self, name: &str) -> String {
        fs::read(self.log_path(name))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.0.logs.join(format!("{name}.log"))
    }

    /// `nsenter` with the lab's environment and nothing of the test's.
    fn nsenter(&self) -> std::process::Command {
        let namespaces = &self.0;
        let mut nsenter = std::process::Command::new("nsenter");
        nsenter
            .arg(format!("--mount={}", held(&namespaces.mount)))
            .arg(format!("--pid={}", held(&namespaces.pid)))
            .arg(format!("--net={}", held(&namespaces.network)))
            .arg(format!("--ipc={}", held(&namespaces.ipc)))
            .arg(format!("--uts={}", held(&namespaces.uts)))
            .arg("--")
            .env_clear()
            .envs(ENVIRONMENT);
        nsenter
    }
}

// === impl Command ===

impl Command {
    /// Adds arguments.
    pub fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the command's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets what the command reads. Nothing, unless set.
    pub fn stdin(mut self, stdin: impl Into<Vec<u8>>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// Sets how long [`Self::run`] lets the command take. A minute, unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs the command to its end.
    ///
    /// # Errors
    ///
    /// When it could not be started or did not end in time. A command that failed is an [`Output`].
    pub fn run(self) -> Result<Output> {
        let command = self.to_string();
        let mut stdin = tempfile::tempfile()?;
        stdin.write_all(&self.stdin)?;
        stdin.rewind()?;
        // Files, not pipes: a grandchild that keeps one open holds up nobody.
        let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);

        let started = Instant::now();
        let status = self
            .entrance
            .nsenter()
            // Inside of the lab, where it can kill the command and not only the way in.
            .args(["timeout", "--kill-after=2"])
            .arg(self.timeout.as_secs_f64().to_string())
            .arg(&self.program)
            .args(&self.args)
            .envs(self.environment.iter().cloned())
            .stdin(stdin)
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?)
            .status()
            .with_context(|| format!("running `{command}`"))?;
        let output = Output {
            command,
            status,
            stdout: read(&mut stdout)?,
            stderr: read(&mut stderr)?,
            elapsed: started.elapsed(),
        };
        if output.elapsed >= self.timeout {
            bail!("{output}\ndid not end within {:?}", self.timeout);
        }
        Ok(output)
    }

    /// Starts the command and leaves it running. What it prints is added to the log `name`.
    ///
    /// # Errors
    ///
    /// When it could not be started.
    pub fn spawn(self, name: &str) -> Result<Process> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.entrance.log_path(name))?;
        let pid_path = format!("/run/lab/{name}.pid");
        let pid_file = self.entrance.path(&pid_path);
        let _ = fs::remove_file(&pid_file);

        let mut child = self
            .entrance
            .nsenter()
            .args(["sh", "-c", r#"echo $$ >"$0"; exec "$@""#, &pid_path])
            .arg(&self.program)
            .args(&self.args)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting `{self}`"))?;

        let pid = wait_until("the process's pid", Duration::from_secs(5), || {
            if let Some(status) = child.try_wait()? {
                bail!("`{self}` left at once: {status}");
            }
            let written = fs::read_to_string(&pid_file).unwrap_or_default();
            Ok(written
                .strip_suffix('\n')
                .and_then(|pid| pid.parse::<u32>().ok()))
        })?;
        Ok(Process {
            entrance: self.entrance,
            name: name.to_owned(),
            pid,
            child: Mutex::new(child),
        })
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}={value} ")?;
        }
        f.write_str(&self.program)?;
        for arg in &self.args {
            write!(f, " {arg}")?;
        }
        Ok(())
    }
}

// === impl Output ===

impl Output {
    /// Everything it printed, complaints last.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Passes an output on if the command succeeded.
    ///
    /// # Errors
    ///
    /// When it did not: the error shows what it printed.
    pub fn expect_success(self) -> Result<Self> {
        if self.status.success() {
            Ok(self)
        } else {
            bail!("{self}\nshould have succeeded")
        }
    }

    /// Passes an output on if the command failed and printed `text`.
    ///
    /// # Errors
    ///
    /// When it succeeded, or failed with other words.
    pub fn expect_failure(self, text: &str) -> Result<Self> {
        if self.status.success() {
            bail!("{self}\nshould have failed")
        }
        if !self.text().contains(text) {
            bail!("{self}\nshould have failed with: {text}")
        }
        Ok(self)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "$ {}\n{}{}({}, {:.2?})",
            self.command, self.stdout, self.stderr, self.status, self.elapsed
        )
    }
}

// === impl Process ===

impl Process {
    /// The process's id inside of the lab.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What processes of this name have printed so far.
    pub fn log(&self) -> String {
        self.entrance.log(&self.name)
    }

    /// How the process ended, if it has.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell.
    pub fn status(&self) -> Result<Option<ExitStatus>> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(child.try_wait()?)
    }

    /// Sends a signal, as in `HUP`.
    ///
    /// # Errors
    ///
    /// When the process is gone or the signal unknown.
    pub fn signal(&self, signal: &str) -> Result<()> {
        self.entrance
            .command("kill")
            .args(["-s", signal, &self.pid.to_string()])
            .run()?
            .expect_success()?;
        Ok(())
    }

    /// Asks the process to end, and makes it when it has not within `patience`.
    ///
    /// # Errors
    ///
    /// When it did not end, not even killed.
    pub fn stop(self, patience: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.status()? {
            return Ok(status);
        }
        self.signal("TERM")?;
        if let Ok(status) = self.wait(patience) {
            return Ok(status);
        }
        self.signal("KILL")?;
        self.wait(Duration::from_secs(5))
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    ///
    /// When it has not within `timeout`.
    pub fn wait(&self, timeout: Duration) -> Result<ExitStatus> {
        let what = format!("the end of `{}`", self.name);
        wait_until(&what, timeout, || self.status())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.status(), Ok(None)) {
            // Fails when the lab is gone, and the process with it.
            let _ = self.signal("KILL");
            let _ = self.wait(Duration::from_secs(5));
        }
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_until<T>(
    what: &str,
    timeout: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            bail!("waited {timeout:?} in vain for {what}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A path to what the test's process holds open, for itself and for its children.
fn held(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

fn read(file: &mut File) -> Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What every command in a lab finds in its environment.
pub(crate) const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/root"),
    ("LANG", "C.UTF-8"),
    ("BUILDKIT_PROGRESS", "plain"),
];
const TIMEOUT: Duration = Duration::from_secs(60);
