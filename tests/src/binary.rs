//! The real `callvault`, built and run as anybody runs it.
//!
//! | module | owns |
//! |---|---|
//! | this one | the build, a command with a clean environment, a running process |
//! | [`scene`] | a simulated org, a folder for ledger and archive, and commands over them |
//! | [`telephony`] | `callvault serve` with telephony, its senders and its websocket clients |
//! | [`elsewhere`] | archives that are not a folder |
//! | [`tap`] | a listener on the line, which knows the secrets that went over it |
//!
//! Nothing of the test's own environment reaches a command but `PATH` and `HOME`. A process ends, by its id, with the
//! value that stands for it, so a test that fails leaves nothing running.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a harness of tests fails by panicking")]

pub mod elsewhere;
pub mod scene;
pub mod tap;
pub mod telephony;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A command that takes longer hangs, unless the test said it may: the test says so instead of waiting for ever.
const LONGEST_RUN: Duration = Duration::from_secs(540);

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(3);

/// A command of `callvault` before it is run.
#[derive(Debug, Clone)]
pub struct Callvault {
    args: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    folder: Option<PathBuf>,
    listens: bool,
    longest: Duration,
}

/// `callvault` with these arguments.
pub fn callvault<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Callvault {
    let longest = LONGEST_RUN;
    Callvault { args: Vec::new(), environment: BTreeMap::new(), folder: None, listens: false, longest }.args(args)
}

/// What a command said and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

impl Output {
    /// Stdout as one JSON object on one line.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.lines().count(), 1, "not one line of JSON: {self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, and the exit code is as wanted.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "signal {:?}\n{}\n{}", self.signal, self.stdout, self.stderr);
        self
    }
}

impl Callvault {
    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Takes a variable out of its environment.
    pub fn without(mut self, name: &str) -> Self {
        self.environment.remove(OsStr::new(name));
        self
    }

    /// The folder it is run in.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Its stdin is a pipe, for [`Running::types`].
    pub fn listening(mut self) -> Self {
        self.listens = true;
        self
    }

    /// How long it may run.
    pub fn at_most(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// The arguments, for naming a case.
    pub fn shown(&self) -> String {
        self.args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    /// Runs it to its end.
    pub fn run(&self) -> Output {
        self.start().wait_at_most(self.longest)
    }

    /// Starts it.
    pub fn start(&self) -> Running {
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.listens {
            command.stdin(Stdio::piped());
        }
        Running::new(command.spawn().unwrap(), self.shown())
    }

    /// Runs it with a stdout that nobody reads: every write to it fails.
    pub fn run_unread(&self) -> Output {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.command();
        command.stdout(writer).stderr(Stdio::piped());
        let running = Running::new(command.spawn().unwrap(), self.shown());
        drop(command);
        running.wait()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program("callvault"));
        command.args(&self.args);
        self.dress(&mut command);
        command
    }

    fn dress(&self, command: &mut Command) {
        command.env_clear().stdin(Stdio::null());
        for name in ["PATH", "HOME"] {
            if let Some(value) = environment(name) {
                command.env(name, value);
            }
        }
        command.envs(&self.environment);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
    }
}

/// A running `callvault`. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    lines: std::sync::mpsc::Receiver<String>,
    began: Instant,
}

impl Running {
    fn new(mut child: Child, name: String) -> Self {
        let (tell, lines) = std::sync::mpsc::channel();
        let stdout = child.stdout.take().map(|out| std::thread::spawn(move || read_lines(out, &tell)));
        let stderr = child.stderr.take().map(|out| std::thread::spawn(move || read_all(out)));
        Self { child, name, stdout, stderr, lines, began: Instant::now() }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line on stdout, as soon as it is there.
    pub fn first_line(&self) -> String {
        self.next_line(|_| true)
    }

    /// The next line on stdout that is wanted, as soon as it is there. Those before it are passed over.
    pub fn next_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("`{}` did not say it on stdout", self.name));
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Types a line on its stdin.
    pub fn types(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n")).unwrap();
    }

    /// Closes its stdin.
    pub fn falls_silent(&mut self) {
        self.child.stdin = None;
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL.
    pub fn kill(mut self) -> Output {
        // It may have ended by itself just now.
        let _ = self.child.kill();
        self.wait()
    }

    /// Another signal, by name (`TERM`).
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().unwrap();
        assert!(sent.success(), "no {name} to `{}`", self.name);
    }

    /// Waits for its end.
    pub fn wait(self) -> Output {
        self.wait_at_most(LONGEST_RUN)
    }

    /// Waits for its end; one that does not come is a failure.
    pub fn wait_at_most(mut self, longest: Duration) -> Output {
        let waiting = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if waiting.elapsed() > longest {
                let after = self.began.elapsed().as_secs();
                let _ = self.child.kill();
                let status = self.child.wait().unwrap();
                let output = self.gather(status);
                panic!("`{}` still ran after {after} s\n{}\n{}", self.name, output.stdout, output.stderr);
            }
            std::thread::sleep(LOOK);
        };
        self.gather(status)
    }

    fn gather(&mut self, status: ExitStatus) -> Output {
        let text =
            |reader: Option<JoinHandle<String>>| reader.map_or_else(String::new, |reader| reader.join().unwrap());
        Output {
            code: status.code(),
            signal: status.signal(),
            stdout: text(self.stdout.take()),
            stderr: text(self.stderr.take()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(out: impl Read, tell: &std::sync::mpsc::Sender<String>) -> String {
    let mut reader = BufReader::new(out);
    let mut whole = Vec::new();
    loop {
        let begin = whole.len();
        if !matches!(reader.read_until(b'\n', &mut whole), Ok(1..)) {
            return String::from_utf8_lossy(&whole).into_owned();
        }
        // Nobody may be listening.
        let _ = tell.send(String::from_utf8_lossy(&whole[begin..]).trim_end().to_owned());
    }
}

fn read_all(mut out: impl Read) -> String {
    let mut whole = Vec::new();
    let _ = out.read_to_end(&mut whole);
    String::from_utf8_lossy(&whole).into_owned()
}

/// A program of ours, built once.
///
/// # Panics
/// When it does not build, or there is none of that name.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let path = FOLDER.get_or_init(build).join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{name} is no program of ours");
    path
}

/// Builds everything with the profile and into the target folder of this very test, and answers where they are. Under
/// nextest, where every test is a process, the first of a run builds and the others see its stamp.
fn build() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // TARGET[/TRIPLE]/PROFILE/deps/TEST
    let folder = test.parent().unwrap();
    if folder.file_name() != Some(OsStr::new("deps")) {
        // No test but a benchmark, beside the programs that `make bench` built.
        return folder.to_owned();
    }
    let profile_folder = folder.parent().unwrap().to_owned();
    let lock = File::create(profile_folder.join(".callvault-built.lock")).unwrap();
    lock.lock().unwrap();
    let run = environment("NEXTEST_RUN_ID").map(|id| id.to_string_lossy().into_owned());
    let stamp = profile_folder.join(".callvault-built");
    let stamped = std::fs::read_to_string(&stamp).ok();
    if run.is_some() && stamped == run {
        return profile_folder;
    }
    let parent = profile_folder.parent().unwrap();
    let is_target = parent.join(".rustc_info.json").exists();
    let target = if is_target { parent } else { parent.parent().unwrap() };
    let profile = match profile_folder.file_name().and_then(OsStr::to_str).unwrap() {
        "debug" => "dev",
        other => other,
    };
    let mut cargo = Command::new(environment("CARGO").unwrap_or_else(|| "cargo".into()));
    // As `make test` does: with other features most dependencies would be compiled again.
    cargo.args(["build", "-q", "--workspace", "--all-features", "--profile", profile]);
    cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    cargo.arg("--target-dir").arg(target);
    if !is_target {
        cargo.arg("--target").arg(parent.file_name().unwrap());
    }
    assert!(cargo.status().unwrap().success(), "callvault does not build");
    if let Some(run) = run {
        std::fs::write(stamp, run).unwrap();
    }
    profile_folder
}

#[expect(clippy::disallowed_methods, reason = "what the test was started with: cargo, its run, PATH and HOME")]
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
