//! Init: from the start of the process to its first request for an event, beside the least function there is.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use callvault_tests::stand_ins::moto::{Moto, unique};
use serde_json::Value;

use super::runtime::{Asked, RuntimeApi};
use crate::Outcome;
use crate::programs::{Simulator, callvault};

const PROGRAMS: [&str; 6] =
    ["hello-lambda", "query-conversations", "submit-batches", "poll-batches", "upload-recordings", "close-days"];
const ROUNDS: usize = 21;

pub(crate) fn measure() -> Outcome {
    println!("# init, from the start of the process to the first request for an event ({ROUNDS} rounds, in turn)");
    let runtime = tokio::runtime::Runtime::new()?;
    let simulator = Simulator::start(&["--conversations", "10"])?;
    let moto = Moto::start();
    let place = Place::new(&runtime, &moto, &simulator.url);
    let mut taken: BTreeMap<&str, Vec<(Duration, Duration)>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for name in PROGRAMS {
            taken.entry(name).or_default().push(place.init(name)?);
        }
    }
    // The least, and the one in the middle: on a machine that does other things too they are far apart.
    let of_rank = |name: &str, of: fn(&(Duration, Duration)) -> Duration| {
        let mut all: Vec<f64> = taken.get(name).into_iter().flatten().map(|one| of(one).as_secs_f64() * 1e3).collect();
        all.sort_by(f64::total_cmp);
        [0, all.len() / 2].map(|place| all.get(place).copied().unwrap_or_default())
    };
    let hello = of_rank(PROGRAMS[0], |(init, _)| *init);
    println!("hello-lambda: least {:.1} ms, median {:.1} ms", hello[0], hello[1]);
    for name in PROGRAMS.iter().skip(1) {
        let (init, warm_up) = (of_rank(name, |(init, _)| *init), of_rank(name, |(_, warm_up)| *warm_up));
        let more = [init[0] - hello[0], init[1] - hello[1]];
        println!(
            "{name}: least {:.1} ms (+{:.1}), median {:.1} ms (+{:.1}) without warm-up; warm-up {:.1} ms",
            init[0], more[0], init[1], more[1], warm_up[1]
        );
    }
    println!();
    Ok(())
}

/// What an instance needs around itself.
pub(crate) struct Place {
    pub(crate) settings: Vec<(String, String)>,
}

impl Place {
    /// An empty ledger and archive in moto.
    pub(crate) fn new(runtime: &tokio::runtime::Runtime, moto: &Moto, genesys: &str) -> Self {
        let (table, bucket) = (unique("ledger"), unique("archive"));
        runtime.block_on(async {
            callvault_tests::stand_ins::table::create(&moto.sdk(), &table).await;
            callvault_tests::cloud::create_bucket(&moto.sdk(), &bucket).await;
        });
        let mut settings: Vec<(String, String)> =
            moto.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for (name, value) in [
            ("GENESYS_URL", genesys),
            ("GENESYS_CLIENT_ID", "demo"),
            ("GENESYS_CLIENT_SECRET", "demo"),
            ("LEDGER", &format!("dynamodb:{table}")),
            ("ARCHIVE", &format!("s3://{bucket}/vault")),
            ("TIMEZONE", "UTC"),
            ("AWS_LC_SYS_NO_JITTER_ENTROPY", "1"),
        ] {
            settings.push((name.to_owned(), value.to_owned()));
        }
        Self { settings }
    }

    /// The ledger's table.
    pub(crate) fn table(&self) -> &str {
        let ledger = self.settings.iter().find(|(name, _)| name == "LEDGER");
        ledger.and_then(|(_, value)| value.strip_prefix("dynamodb:")).unwrap_or_default()
    }

    /// The archive's bucket.
    pub(crate) fn bucket(&self) -> &str {
        let archive = self.settings.iter().find(|(name, _)| name == "ARCHIVE");
        let place = archive.and_then(|(_, value)| value.strip_prefix("s3://")).unwrap_or_default();
        place.split('/').next().unwrap_or_default()
    }

    /// A command for an instance.
    pub(crate) fn command(&self, name: &str, api: &RuntimeApi) -> Result<Command, Box<dyn std::error::Error>> {
        // As they are deployed: TARGET/release/callvault and TARGET/TRIPLE/function/NAME.
        let mut command = Command::new(callvault()?.with_file_name("../x86_64-unknown-linux-gnu/function").join(name));
        command.env_clear().envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512");
        Ok(command)
    }

    /// Init without the warm-up, and the warm-up as the function itself tells it.
    fn init(&self, name: &str) -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
        let api = RuntimeApi::start(None)?;
        let mut command = self.command(name, &api)?;
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let asked = api.asked(Duration::from_secs(30));
        child.kill()?;
        child.wait()?;
        let Asked::Next(at) = asked? else { return Err("it answered before it asked".into()) };
        let mut said = String::new();
        child.stdout.take().ok_or("no stdout")?.read_to_string(&mut said)?;
        let ready = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let told = ready.filter_map(|line| Some((field(&line, "wired_ms")?, field(&line, "ready_ms")?))).next();
        let warm_up = match told {
            Some((wired, ready)) => Duration::from_secs_f64((ready - wired) / 1e3),
            None if name == PROGRAMS[0] => Duration::ZERO,
            None => return Err(format!("{name} does not say when it was ready: {said}").into()),
        };
        Ok((at.duration_since(begun).saturating_sub(warm_up), warm_up))
    }
}

/// A number of a JSON log line, wherever the format puts fields.
fn field(line: &Value, name: &str) -> Option<f64> {
    line[name].as_f64().or_else(|| line["fields"][name].as_f64())
}
