//! The Lambda runtime: cargo-lambda's runtime API, and our real binaries behind it.
//!
//! cargo-lambda knows nothing of concurrency limits, retries or deadlines: what a test needs of them it does itself.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a harness of tests fails by panicking")]

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary;
use crate::stand_ins::program;

/// A running runtime API. It is killed, by its id, when it is dropped.
#[derive(Debug)]
pub struct LambdaRuntime {
    address: String,
    process: Child,
    http: reqwest::Client,
}

/// What a function answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status of the invocation.
    pub status: u16,
    /// Its JSON: the function's answer, or `{"errorType", "errorMessage"}`.
    pub body: Value,
}

impl Answer {
    /// The stable code of an error.
    pub fn error_type(&self) -> Option<&str> {
        self.body["errorType"].as_str()
    }
}

impl LambdaRuntime {
    /// Starts one on a free port.
    pub fn start() -> Self {
        // The port is free only until somebody else takes it: then the next one is tried.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new(program("cargo-lambda"));
            command.args(["lambda", "watch", "--only-lambda-apis", "-A", "127.0.0.1", "-P", &port.to_string()]);
            command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut process = command.spawn().unwrap();
            if is_listening(&mut process, port) {
                let http = reqwest::Client::builder().no_proxy().build().unwrap();
                return Self { address: format!("http://127.0.0.1:{port}"), process, http };
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("cargo-lambda does not start");
    }

    /// Starts an instance of a function with exactly these settings. What it writes goes to `log`.
    pub fn instance(&self, name: &str, settings: &[(String, String)], log: &Path) -> Instance {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(binary::program(name));
        command.env_clear().envs(settings.iter().map(|(name, value)| (name, value)));
        command
            .env("AWS_LAMBDA_RUNTIME_API", format!("{}/.rt/{name}", self.address))
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Instance { process: command.spawn().unwrap() }
    }

    /// Invokes a function; `None` when no answer comes in time (its instance died, or there is none).
    pub async fn invoke(&self, name: &str, payload: &Value, patience: Duration) -> Option<Answer> {
        let url = format!("{}/2015-03-31/functions/{name}/invocations", self.address);
        let asked = self.http.post(url).body(payload.to_string()).timeout(patience).send().await.ok()?;
        let status = asked.status().as_u16();
        let text = asked.text().await.ok()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Some(Answer { status, body })
    }
}

impl Drop for LambdaRuntime {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_listening(process: &mut Child, port: u16) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// A running instance of a function. It is killed, by its id, when it is dropped.
#[derive(Debug)]
pub struct Instance {
    process: Child,
}

impl Instance {
    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where an instance's log goes.
pub fn log_of(folder: &Path, name: &str, number: usize) -> PathBuf {
    folder.join(format!("{name}-{number}.log"))
}
