//! The Lambda runtime around a function: what every function of callvault does the same way.
//!
//! | module | owns |
//! |---|---|
//! | [`event`] | what wakes a function, read once at the door |
//! | [`http`] | requests and responses of API Gateway |
//! | [`gate`] | a gate whose secret is in Secrets Manager |
//! | [`parts`] | settings into ports, once per instance; the warm-up |
//! | [`source`] | the Genesys client with the invocation's deadline |
//! | [`user`] | the same in a signed-in user's name |
//! | [`work`] | one invocation: its time, its stages, what it did |
//! | [`refusal`] | errors with a stable code |
//!
//! A function never fails to make something be tried again: what is open stays due in the ledger, and the next
//! invocation finds it. Its errors are for people: a refused sign-in, a ledger that cannot be used, an event that
//! says nothing. An instance that could not start says why to every invocation, and tries again.

pub mod event;
pub mod gate;
pub mod http;
pub mod parts;
pub mod refusal;
pub mod source;
pub mod user;
pub mod work;

use std::cell::Cell;
use std::io::Write;

use callvault_pipeline::clock::Clock;
use callvault_pipeline::ledger::Stage;
use callvault_pipeline::stages::Report;
use jiff::Timestamp;
use lambda_runtime::{Context, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use tokio::sync::OnceCell;
use tracing::Instrument;

use crate::logging;
use crate::metrics::{self, Measured};
use crate::system::{self, SystemClock};
use parts::Parts;
use refusal::Refusal;
use user::User;
use work::{Work, shift_of};

/// The level of the log: read by every function, before its settings.
pub const LOG_LEVEL: &str = "LOG_LEVEL";

/// What stand-ins need instead of a region and a secret. Read by every function that talks to Genesys, and in no
/// template: a secret does not belong into a function's environment.
pub const FOR_STAND_INS: &[&str] = &["GENESYS_URL", "GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"];

/// A function: what it is called, reads and needs.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its name: that of its folder, package and binary.
    pub name: &'static str,
    /// The stages it runs, if any; the first one names its metrics.
    pub stages: &'static [Stage],
    /// The environment variables it reads, [`FOR_STAND_INS`] apart.
    pub settings: &'static [&'static str],
    /// Whether it talks to Genesys.
    pub source: bool,
    /// Whether it writes or reads objects.
    pub archive: bool,
}

impl Function {
    /// Whether it talks to Genesys in a user's name.
    pub fn needs_user(&self) -> bool {
        self.stages.contains(&Stage::Voicemail)
    }

    /// A setting, if the function reads it.
    pub fn lookup(&self, name: &str) -> Option<String> {
        let url = self.needs_user() && name == "GENESYS_URL";
        let reads = self.settings.contains(&name) || (self.source && FOR_STAND_INS.contains(&name)) || url;
        reads.then(|| system::environment(name)).flatten()
    }
}

/// Runs a function of stages until its instance ends.
///
/// # Errors
/// When the runtime's own API cannot be used.
pub async fn run(
    function: &'static Function,
    handle: impl AsyncFn(&Value, &mut Work<'_>) -> Result<Value, Refusal>,
) -> Result<(), lambda_runtime::Error> {
    let connect = async || Box::pin(Parts::connect(function, |name| function.lookup(name))).await;
    run_connected(function, connect, handle).await
}

/// The same for a function that tells people of closed days. Apart, so that the others do not carry what sends messages.
///
/// # Errors
/// As [`run`].
pub async fn run_telling(
    function: &'static Function,
    handle: impl AsyncFn(&Value, &mut Work<'_>) -> Result<Value, Refusal>,
) -> Result<(), lambda_runtime::Error> {
    let connect = async || {
        let parts = Box::pin(Parts::connect(function, |name| function.lookup(name))).await?;
        let announcers = parts::announcers(&parts.settings)?;
        Ok(parts.with_announcers(announcers))
    };
    run_connected(function, connect, handle).await
}

async fn run_connected(
    function: &'static Function,
    connect: impl AsyncFn() -> Result<Parts, Refusal>,
    handle: impl AsyncFn(&Value, &mut Work<'_>) -> Result<Value, Refusal>,
) -> Result<(), lambda_runtime::Error> {
    serve(function, connect, async |parts: &Parts, payload: &Value, context: &Context| {
        invoke(function, parts, payload, context, &handle).await
    })
    .await
}

/// Runs a function until its instance ends: `connect` makes what the instance keeps, `invoke` is one invocation.
///
/// # Errors
/// When the runtime's own API cannot be used.
pub async fn serve<P>(
    function: &'static Function,
    connect: impl AsyncFn() -> Result<P, Refusal>,
    invoke: impl AsyncFn(&P, &Value, &Context) -> Result<Value, Refusal>,
) -> Result<(), lambda_runtime::Error> {
    let level = function.lookup(LOG_LEVEL).unwrap_or_else(|| "info".to_owned()).to_ascii_lowercase();
    let known = logging::LEVELS.contains(&level.as_str());
    logging::start_for_lambda(if known { &level } else { "info" });
    let parts: OnceCell<P> = OnceCell::new();
    let connect = || async {
        match known {
            true => connect().await,
            false => Err(Refusal::level(&level)),
        }
    };
    if let Err(refusal) = parts.get_or_try_init(connect).await {
        tracing::error!(code = refusal.code, "{} is not ready: {}", function.name, refusal.message);
    }
    let cold = Cell::new(true);
    let service = service_fn(async |event: LambdaEvent<Value>| {
        let LambdaEvent { payload, context } = event;
        let cold_start = cold.replace(false);
        let span = tracing::info_span!(
            "invocation",
            request_id = context.request_id,
            function = function.name,
            function_version = context.env_config.version,
            cold_start,
        );
        let work = async {
            let answer = match parts.get_or_try_init(connect).await {
                Ok(parts) => invoke(parts, &payload, &context).await,
                Err(refusal) => Err(refusal),
            };
            if let Err(Refusal { code, message }) = &answer {
                tracing::error!(code, "{} could not go on: {message}", function.name);
            }
            answer
        };
        work.instrument(span).await
    });
    Runtime::new(service).run().await
}

async fn invoke(
    function: &Function,
    parts: &Parts,
    payload: &Value,
    context: &Context,
    handle: &impl AsyncFn(&Value, &mut Work<'_>) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    let now = SystemClock.now();
    let (shift, deadline) = shift_of(now, context.deadline);
    let mut work = Work::new(parts, shift, deadline);
    let answer = Box::pin(handle(payload, &mut work)).await;
    let fault = answer.as_ref().err().map(|refusal| refusal.code).or(work.fault);
    let measured = Measured {
        environment: parts.settings.layout.environment(),
        function: function.name,
        request_id: &context.request_id,
        stages: function.stages,
        report: &work.report,
        oldest_due: &work.oldest_due(function.stages).await,
        budget_left: match (&parts.source, &parts.user) {
            (Some(source), _) => source.budget_left(),
            (None, user) => user.as_ref().and_then(User::budget_left),
        },
        token_seconds_left: parts.user.as_ref().and_then(User::token_seconds_left),
        fault,
    };
    write(&metrics::lines(SystemClock.now(), &measured));
    let Report { claimed, settled, stored, bytes, parked, failed, found, given_back, .. } = work.report;
    let name = function.name;
    tracing::info!(claimed, settled, stored, bytes, parked, failed, found, given_back, "{name}: {settled} settled");
    answer
}

/// Settings that a function cannot do without, with what is expected of each.
///
/// # Errors
/// [`Refusal`], which names all that are missing.
pub fn required<const N: usize>(
    lookup: impl Fn(&str) -> Option<String>,
    names: [(&str, &str); N],
) -> Result<[String; N], Refusal> {
    let found = names.map(|(name, _)| lookup(name).map(|text| text.trim().to_owned()));
    let missing: Vec<String> = std::iter::zip(&names, &found)
        .filter(|(_, found)| found.is_none())
        .map(|((name, expected), _)| format!("{name} is not set: expected {expected}"))
        .collect();
    if missing.is_empty() {
        Ok(found.map(Option::unwrap_or_default))
    } else {
        Err(Refusal::settings(missing.join("\n")))
    }
}

/// Metrics are lines on stdout, in one write each: nothing else may stand in the middle of one.
pub fn write(lines: &[Value]) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        let _ = out.write_all(format!("{line}\n").as_bytes());
    }
    let _ = out.flush();
}

/// How long ago something was, in whole seconds; 0 for what is still to come.
fn seconds_since(then: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(then).as_secs()).unwrap_or_default()
}
