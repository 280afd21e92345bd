//! Telephony: 1,000 events a second through the webhook to 100 open websockets.
//!
//! Events are sent at their time, whether or not those before them were answered (by as many connections as that
//! takes), and every socket counts every change and how long after the sending of its event it came. Beside it, in the same run,
//! the ceiling: a bare axum server that answers and passes bytes on, without secret, store or projection.

mod echo;
mod load;

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::programs::{callvault, high_water_mark, mib};
use load::{Load, Measured};

pub(crate) use echo::serve as serve_echo;

const SECRET: &str = "benchmark-webhook-secret";
const TOKEN: &str = "benchmark-calls-token";

/// A server under load; killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(mut command: Command) -> Result<Self, Box<dyn Error>> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://").ok_or("the server did not start")?.to_owned();
        Ok(Self { child, address })
    }

    /// The time that all its threads have computed.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // After the name in brackets, which may hold anything: user and system time are the 12th and 13th, in hundredths of a second.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect::<Vec<_>>());
        let ticks =
            |at: usize| fields.as_ref().and_then(|fields| fields.get(at)?.parse::<u64>().ok()).unwrap_or_default();
        Duration::from_millis((ticks(11) + ticks(12)) * 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn measure() -> Outcome {
    println!("# telephony: 1,000 events/s for 30 s, 100 websockets");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let load = Load { rate: 1000, seconds: 30, sockets: 100 };
    let mut bare = Command::new(std::env::current_exe()?);
    bare.arg("calls-echo");
    let server = Server::start(bare)?;
    let ceiling = runtime.block_on(load.run(&server.address, SECRET, TOKEN))?;
    show("bare axum", &load, &ceiling, &server);
    drop(server);
    let folder = tempfile::tempdir()?;
    let mut serve = Command::new(callvault()?);
    serve.arg("serve").current_dir(folder.path()).env("WEBHOOK_SECRET", SECRET).env("CALLS_TOKEN", TOKEN);
    serve.env("LEDGER", format!("sqlite:{}", folder.path().join("callvault.sqlite").display()));
    let server = Server::start(serve)?;
    let measured = runtime.block_on(load.run(&server.address, SECRET, TOKEN))?;
    show("callvault", &load, &measured, &server);
    let kept = kept(folder.path())?;
    println!("callvault: {kept} events in its store\n");
    Ok(())
}

fn show(name: &str, load: &Load, measured: &Measured, server: &Server) {
    let ms = |at: f64, histogram: &load::Histogram| histogram.quantile(at);
    println!(
        "{name}: {} of {} answered 200 in {:.1} s; {} of {} changes seen by sockets; webhook to answer p50 {:.1} p99 {:.1} max {:.1} ms; \
         webhook to socket p50 {:.1} p99 {:.1} max {:.1} ms; {:.1} s CPU, {:.1} MiB at most",
        measured.answered,
        load.events(),
        measured.took.as_secs_f64(),
        measured.seen,
        load.events() * load.sockets as u64,
        ms(0.5, &measured.answers),
        ms(0.99, &measured.answers),
        ms(1.0, &measured.answers),
        ms(0.5, &measured.changes),
        ms(0.99, &measured.changes),
        ms(1.0, &measured.changes),
        server.cpu().as_secs_f64(),
        mib(high_water_mark(server.child.id())),
    );
}

/// How many events the store has, beside the running server.
fn kept(folder: &std::path::Path) -> Result<u64, Box<dyn Error>> {
    let output = Command::new(callvault()?).args(["calls", "rebuild", "--json"]).current_dir(folder).output()?;
    let rebuilt: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    if rebuilt["repaired"] != 0 {
        return Err(format!("the projection was not what its events say: {rebuilt}").into());
    }
    rebuilt["events"].as_u64().ok_or_else(|| "no events".into())
}
