//! `callvault where`: where a conversation's recordings are, and why those that are nowhere are not.

use std::collections::BTreeMap;
use std::process::ExitCode;

use callvault_bootstrap::settings::{Need, Settings};
use callvault_pipeline::day::Day;
use callvault_pipeline::ids::{ConversationId, RecordingId, VoicemailId};
use callvault_pipeline::ledger::voicemail::{Carried, Order};
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    voicemails: Vec<Voicemail>,
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

/// A voicemail of the conversation, or what is known of one that was not found.
#[derive(Serialize)]
struct Voicemail {
    /// None where an event told of it and no message was found.
    message: Option<VoicemailId>,
    day: Day,
    state: &'static str,
    reason: Option<Reason>,
    detail: Option<String>,
    /// What became of the orders at the source.
    orders: BTreeMap<Order, Carried>,
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
    let ledger = look_at_ledger(&settings).await?;
    let rows = ledger.conversation(&args.conversation).await?;
    let voicemails = voicemails(&ledger.voicemails(&args.conversation).await?, &settings);
    let Some(answer) = answer(&args.conversation, &rows, voicemails, &settings) else {
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

fn object(object: &StoredObject, settings: &Settings) -> Object {
    Object {
        url: archive_url(&settings.archive, object.key.as_str()),
        bytes: object.bytes,
        sha256: object.sha256.clone(),
    }
}

fn answer(id: &ConversationId, rows: &[Row], voicemails: Vec<Voicemail>, settings: &Settings) -> Option<Answer> {
    let object = |one: &StoredObject| object(one, settings);
    let link = settings.endpoints.as_ref().map(|endpoints| endpoints.interaction_link(id));
    let found = rows.iter().find_map(|row| match &row.fact {
        Fact::Conversation(fact) => Some((row, fact)),
        _ => None,
    });
    let Some((row, fact)) = found else {
        // Its day was not exported: a voicemail is moved all the same.
        let (day, state) = voicemails.first().map(|one| (one.day, one.state))?;
        let (reason, metadata, recordings) = (voicemails[0].reason, None, Vec::new());
        return Some(Answer { conversation: id.clone(), day, state, reason, link, metadata, recordings, voicemails });
    };
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
        link,
        metadata: fact.object.as_ref().map(object),
        recordings: recordings.collect(),
        voicemails,
    })
}

/// The messages of a conversation; the notice about them only where it says more than they do.
fn voicemails(rows: &[Row], settings: &Settings) -> Vec<Voicemail> {
    let shown = rows.iter().filter(|row| row.state_word() != "found").filter_map(|row| {
        let (message, detail, orders, objects) = match (&row.key, &row.fact) {
            (RowKey::Voicemail(_, id), Fact::Voicemail(fact)) => {
                let objects = fact.object.iter().chain(&fact.metadata).map(|one| object(one, settings)).collect();
                (Some(id.clone()), fact.detail.clone(), fact.orders.clone(), objects)
            }
            (RowKey::Notice(_), Fact::Notice(fact)) => (None, fact.detail.clone(), BTreeMap::new(), Vec::new()),
            _ => return None,
        };
        let (day, state, reason) = (row.day, row.state_word(), row.reason());
        Some(Voicemail { message, day, state, reason, detail, orders, objects })
    });
    shown.collect()
}

fn show_voicemail(one: &Voicemail) {
    let because = one.reason.map_or(String::new(), |r| format!(" ({r}: {})", r.advice()));
    let name = one.message.as_ref().map_or_else(|| "of which an event told".to_owned(), ToString::to_string);
    screen::line(format!("  voicemail {name}: {}{because}", one.state));
    for object in &one.objects {
        screen::line(format!("    {}  {} bytes  sha256 {}", object.url, object.bytes, object.sha256));
    }
    for (order, carried) in &one.orders {
        let became = match carried {
            Carried::Done => "done".to_owned(),
            Carried::Refused(code) => format!("refused by the source ({code})"),
            Carried::GivenUp(code) => format!("given up ({code})"),
        };
        screen::line(format!("    {} at the source: {became}", order.as_str()));
    }
    if let (Some(detail), true) = (&one.detail, one.state != "stored") {
        screen::line(format!("    last said: {detail}"));
    }
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
    for voicemail in &answer.voicemails {
        show_voicemail(voicemail);
    }
    if let Some(metadata) = &answer.metadata {
        screen::line(format!("  metadata {}", metadata.url));
    }
}
