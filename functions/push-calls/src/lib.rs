//! `push-calls`: tells every open websocket what the table's stream says has changed.
//!
//! | module | owns |
//! |---|---|
//! | [`ports`] | who is connected, and how something is said to them |
//! | [`lane`] | what one connection is told of a batch |
//! | [`told`] | what connections were told already |
//!
//! A batch is told to all connections at once, and to each of them in its order. What could not be told is asked for again from the
//! stream, from the first such record on (partial batch response); who has heard of it already is not told twice by the same instance.
//! A connection that is gone is forgotten, and one that cannot be told for [`lane::PATIENCE`] is ended: its client opens another and
//! asks for everything, which is better than to be told nothing and not to know it, or to keep all others waiting.

pub mod lane;
pub mod ports;
pub mod told;

use std::collections::HashSet;
use std::sync::Arc;

use callvault_aws::calls::stream::{self, Change, News};
use callvault_aws::sockets::Sockets;
use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_bootstrap::lambda::{Function, required};
use callvault_bootstrap::{aws, system};
use callvault_pipeline::clock::Clock;
use futures_util::StreamExt as _;
use lane::Lane;
use ports::{Audience, Voice};
use serde_json::{Value, json};
use told::Told;
use url::Url;

/// The environment variables it reads.
pub const SETTINGS: &[&str] = &["CALLS_TABLE", "CALLS_SOCKETS_URL", "LOG_LEVEL"];

/// The function.
pub const FUNCTION: Function =
    Function { name: "push-calls", stages: &[], settings: SETTINGS, source: false, archive: false };

/// Connections that are told something at the same time.
const AT_ONCE: usize = 128;

/// What an instance keeps.
pub struct Parts {
    /// Who is connected.
    pub audience: Arc<dyn Audience>,
    /// How something is said to them.
    pub voice: Arc<dyn Voice>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What they were told.
    pub told: Told,
}

impl Parts {
    /// Parts of these ports, which have told nothing.
    pub fn new(audience: Arc<dyn Audience>, voice: Arc<dyn Voice>, clock: Arc<dyn Clock>) -> Self {
        Self { audience, voice, clock, told: Told::default() }
    }

    /// Parts as the settings say. Sends nothing.
    ///
    /// # Errors
    /// [`Refusal`]: a setting is missing or cannot be used.
    pub fn connect(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        let url = "the address of the WebSocket API's stage, https://API.execute-api.REGION.amazonaws.com/STAGE";
        let names = [("CALLS_TABLE", "the name of the table of calls"), ("CALLS_SOCKETS_URL", url)];
        let [table, address] = required(lookup, names)?;
        if !Url::parse(&address).is_ok_and(|address| is_allowed(&address)) {
            return Err(Refusal::settings(format!("CALLS_SOCKETS_URL cannot be used: expected {url}")));
        }
        let sdk = aws::of_function(system::environment);
        let voice = Arc::new(Sockets::new(&sdk, &address));
        Ok(Self::new(Arc::new(aws::calls(&sdk, &table)), voice, system::clock()))
    }
}

/// TLS, but for stand-ins on this machine.
fn is_allowed(address: &Url) -> bool {
    let loopback = matches!(address.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    address.has_host() && (address.scheme() == "https" || (address.scheme() == "http" && loopback))
}

/// Tells what a batch of records says. Answers the first record that somebody could not be told, and so is asked for again.
///
/// # Errors
/// [`Refusal`]: the event is no batch of a stream, or the table cannot be used; then the whole batch comes again.
pub async fn handle(event: &Value, parts: &Parts) -> Result<Value, Refusal> {
    let changes = changes(event)?;
    let failed = if changes.iter().any(|change| tells(&change.news)) { tell(&changes, parts).await? } else { None };
    let failed = failed.and_then(|place| changes.get(place));
    let failures: Vec<Value> = failed.iter().map(|change| json!({ "itemIdentifier": change.sequence })).collect();
    Ok(json!({ "batchItemFailures": failures }))
}

fn tells(news: &News) -> bool {
    matches!(news, News::Call(_) | News::Opened(_))
}

fn changes(event: &Value) -> Result<Vec<Change>, Refusal> {
    let wrong =
        |what: &str| Refusal::malformed(format!("{what}: expected records of the stream of the table of calls"));
    let records = event["Records"].as_array().filter(|records| !records.is_empty());
    let records = records.ok_or_else(|| wrong("`Records` is not a list, or empty"))?;
    let read = |(place, record): (usize, &Value)| {
        stream::read(record).map_err(|what| wrong(&format!("record {place}: {what}")))
    };
    let changes: Vec<Change> = records.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    for change in &changes {
        if let News::Unreadable(detail) = &change.news {
            // Nobody could tell it, however often it came: it must not stand in the way of the others.
            tracing::error!(code = "calls-unreadable", "a change is told to nobody: {detail}");
        }
    }
    Ok(changes)
}

/// The place of the first record that somebody could not be told.
async fn tell(changes: &[Change], parts: &Parts) -> Result<Option<usize>, Refusal> {
    let connections = parts.audience.all().await?;
    let open: HashSet<&str> = connections.iter().map(|connection| connection.id.as_str()).collect();
    parts.told.keep(&open);
    let messages = lane::messages(changes);
    let lanes = connections.iter().map(|connection| Lane { connection, changes, messages: &messages, parts }.run());
    let ends: Vec<Option<usize>> = futures_util::stream::iter(lanes).buffer_unordered(AT_ONCE).collect().await;
    let failed = ends.iter().flatten().count();
    tracing::info!(changes = changes.len(), connections = connections.len(), failed, "told what changed");
    Ok(ends.into_iter().flatten().min())
}
