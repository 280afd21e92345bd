//! `callvault where`: where a conversation's recordings are, and why those that are nowhere are not.

use std::process::ExitCode;

use callvault_bootstrap::settings::{Need, Settings};
use callvault_pipeline::day::Day;
use callvault_pipeline::ids::{ConversationId, RecordingId};
use callvault_pipeline::ledger::{Fact, Row, RowKey, StoredObject};
use callvault_pipeline::reason::Reason;
use serde::Serialize;

use crate::args::Where;
use crate::connect::{Given, archive_url, look_at_ledger};
use crate::failure::Failure;
use crate::screen;

#[derive(Serialize)]
struct Answer {
    conversation: ConversationId,
    day: Day,
    state: &'static str,
    reason: Option<Reason>,
    /// The conversation in Genesys Cloud; none where no region is set.
    link: Option<String>,
    metadata: Option<Object>,
    recordings: Vec<Recording>,
}

#[derive(Serialize)]
struct Recording {
    recording: RecordingId,
    kind: &'static str,
    state: &'static str,
    reason: Option<Reason>,
    detail: Option<String>,
    objects: Vec<Object>,
}

#[derive(Serialize)]
struct Object {
    url: String,
    bytes: u64,
    sha256: String,
}

pub(crate) async fn run(args: Where, given: &Given) -> Result<ExitCode, Failure> {
    let flags = [("LEDGER", args.ledger.as_deref()), ("ARCHIVE", args.archive.as_deref())];
    let settings = given.settings(Need::Nothing, &flags)?;
    let rows = look_at_ledger(&settings).await?.conversation(&args.conversation).await?;
    let Some(answer) = answer(&args.conversation, &rows, &settings) else {
        let id = &args.conversation;
        return Err(Failure::usage(format!(
            "the ledger does not know the conversation {id}: has its day been exported?"
        )));
    };
    if args.json {
        screen::json(&answer);
    } else {
        show(&answer);
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(id: &ConversationId, rows: &[Row], settings: &Settings) -> Option<Answer> {
    let object = |object: &StoredObject| Object {
        url: archive_url(&settings.archive, object.key.as_str()),
        bytes: object.bytes,
        sha256: object.sha256.clone(),
    };
    let row = rows.iter().find(|row| matches!(row.fact, Fact::Conversation(_)))?;
    let Fact::Conversation(fact) = &row.fact else { return None };
    let recordings = rows.iter().filter_map(|row| match (&row.key, &row.fact) {
        (RowKey::Recording(_, id), Fact::Recording(fact)) => Some(Recording {
            recording: id.clone(),
            kind: fact.kind.as_str(),
            state: row.state_word(),
            reason: row.reason(),
            detail: fact.detail.clone(),
            objects: fact.objects.iter().map(object).collect(),
        }),
        _ => None,
    });
    Some(Answer {
        conversation: id.clone(),
        day: row.day,
        state: row.state_word(),
        reason: row.reason(),
        link: settings.endpoints.as_ref().map(|endpoints| endpoints.interaction_link(id)),
        metadata: fact.object.as_ref().map(object),
        recordings: recordings.collect(),
    })
}

fn show(answer: &Answer) {
    let because = |reason: Option<Reason>| reason.map_or(String::new(), |r| format!(" ({r}: {})", r.advice()));
    screen::line(format!("conversation {}  day {}", answer.conversation, answer.day));
    screen::line(format!("  {}{}", answer.state, because(answer.reason)));
    if let Some(link) = &answer.link {
        screen::line(format!("  {link}"));
    }
    for recording in &answer.recordings {
        let Recording { recording: id, kind, state, reason, .. } = recording;
        screen::line(format!("  {kind} {id}: {state}{}", because(*reason)));
        for object in &recording.objects {
            screen::line(format!("    {}  {} bytes  sha256 {}", object.url, object.bytes, object.sha256));
        }
        if let (Some(detail), true) = (&recording.detail, recording.state != "stored") {
            screen::line(format!("    last said: {detail}"));
        }
    }
    if let Some(metadata) = &answer.metadata {
        screen::line(format!("  metadata {}", metadata.url));
    }
}
