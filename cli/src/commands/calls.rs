//! `callvault calls`: telephony's calls and events, on this machine or on AWS, and their projection made anew.
//!
//! Looking may go on beside `callvault serve`. Lists are printed page by page: their length is nobody's memory.
//! What an event holds is printed with `--json` only: it has telephone numbers.

use std::path::Path;
use std::process::ExitCode;

use callvault_bootstrap::settings::{LedgerPlace, Need};
use callvault_calls::call::State;
use callvault_calls::event::EventType;
use callvault_calls::message::EventRow;
use callvault_calls::store::{CallStore, Page, StoredEvent};
use callvault_local::calls::{SqliteCalls, beside};
use serde::Serialize;
use serde_json::json;

use crate::args::{CallEvents, Calls};
use crate::cloud::Cloud;
use crate::connect::Given;
use crate::failure::Failure;
use crate::screen;

/// Rows that are read at a time.
const PAGE: usize = 500;

pub(crate) async fn run(command: Calls, given: &Given) -> Result<ExitCode, Failure> {
    match command {
        Calls::List { state, ledger, json } => {
            list(&*open(given, ledger.as_deref(), Purpose::Look).await?, state, json).await?;
        }
        Calls::Events(asked) => events(&*open(given, asked.ledger.as_deref(), Purpose::Look).await?, &asked).await?,
        Calls::Rebuild { ledger, json } => {
            rebuild(&*open(given, ledger.as_deref(), Purpose::Rebuild).await?, json).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the store is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Look,
    Rebuild,
}

/// The calls that belong to the ledger of the settings.
async fn open(given: &Given, ledger: Option<&str>, purpose: Purpose) -> Result<Box<dyn CallStore>, Failure> {
    let settings = given.settings(Need::Nothing, &[("LEDGER", ledger)])?;
    match (&settings.ledger, &settings.calls_table) {
        (LedgerPlace::Sqlite(path), _) => in_a_file(&beside(path), purpose),
        (LedgerPlace::DynamoDb(_), Some(table)) => Cloud::of(&settings).await?.calls(table),
        (LedgerPlace::DynamoDb(_), None) => {
            let expected = "set it to the stack's output CallsTableName, or LEDGER to sqlite:PATH";
            Err(Failure::usage(format!(
                "CALLS_TABLE is not set, which says where the calls of a stack are: {expected}"
            )))
        }
    }
}

fn in_a_file(path: &Path, purpose: Purpose) -> Result<Box<dyn CallStore>, Failure> {
    let looking = || SqliteCalls::open_existing(path);
    Ok(match purpose {
        Purpose::Look => Box::new(looking()?),
        Purpose::Rebuild => {
            // Opening for work makes a file where there is none.
            if !path.exists() {
                drop(looking()?);
            }
            Box::new(SqliteCalls::open(path)?)
        }
    })
}

async fn list(store: &dyn CallStore, state: Option<State>, json: bool) -> Result<(), Failure> {
    let mut shown = Rows::begin("calls", json);
    let mut page = Page::OLDEST;
    loop {
        let calls = store.calls(state, page, PAGE).await?;
        let Some(last) = calls.last() else { break };
        page = page.then(last.id);
        for call in &calls {
            let (from, to) = (call.created_at, call.updated_at);
            shown.row(call, || format!("{:<8}  {}  {from}  {to}", call.state, call.call));
        }
    }
    shown.end("no calls");
    Ok(())
}

async fn events(store: &dyn CallStore, asked: &CallEvents) -> Result<(), Failure> {
    if let Some(id) = &asked.call
        && store.call(id).await?.is_none()
    {
        return Err(Failure::usage(format!("no call {id} is known: `callvault calls list` names those that are")));
    }
    let mut shown = Rows::begin("events", asked.json);
    let mut after = 0;
    loop {
        let events = store.events(asked.call.as_ref(), after, PAGE).await?;
        let Some(last) = events.last() else { break };
        after = last.id;
        for event in &events {
            shown.row(&EventRow::from(event), || line(event));
        }
    }
    shown.end("no events");
    Ok(())
}

/// An event for people: without what it holds.
fn line(event: &StoredEvent) -> String {
    let (at, shown) = (event.at, event.kind.shown());
    match &event.kind {
        // As it was sent: not everything that is sent may reach a terminal.
        EventType::Unknown(word) => format!("{at}  {shown} ({})", word.escape_debug()),
        _ => format!("{at}  {shown}"),
    }
}

async fn rebuild(store: &dyn CallStore, json: bool) -> Result<(), Failure> {
    let rebuilt = store.rebuild().await?;
    let (calls, events, repaired) = (rebuilt.calls, rebuilt.events, rebuilt.repaired);
    match json {
        true => screen::json(&json!({ "calls": calls, "events": events, "repaired": repaired })),
        false => screen::line(format!(
            "{calls} calls made anew from {events} events; {repaired} were not what they should be"
        )),
    }
    Ok(())
}

/// Rows on stdout: lines for people, or one JSON object with a list.
struct Rows {
    json: bool,
    any: bool,
}

impl Rows {
    fn begin(name: &str, json: bool) -> Self {
        if json {
            screen::print(format!("{{\"{name}\":[").as_bytes());
        }
        Self { json, any: false }
    }

    fn row(&mut self, row: &impl Serialize, line: impl FnOnce() -> String) {
        let comma = if self.any { "," } else { "" };
        self.any = true;
        match self.json {
            true => screen::print(format!("{comma}{}", serde_json::to_string(row).unwrap_or_default()).as_bytes()),
            false => screen::line(line()),
        }
    }

    fn end(self, none: &str) {
        match (self.json, self.any) {
            (true, _) => screen::line("]}"),
            (false, false) => screen::line(none),
            (false, true) => {}
        }
    }
}
