//! `callvault verify`: source, ledger and archive of days, held against each other.

use std::process::ExitCode;

use callvault_bootstrap::settings::{Need, Settings};
use callvault_bootstrap::wiring;
use callvault_genesys::http::GenesysClient;
use callvault_pipeline::day::Day;
use callvault_pipeline::stages::House;
use callvault_pipeline::verify::{DayReport, Finding, SourceSide};
use indicatif::HumanBytes;
use serde::Serialize;

use super::export::refuse_unfinished;
use super::run::days::OF_THE_CLIENT;
use crate::args;
use crate::connect::{Connected, Given, check_archive, look};
use crate::engine::run_until_closed;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::screen;
use crate::signals::interrupted;

/// What was compared. The names are fixed: scripts read them.
#[derive(Serialize)]
struct Verified {
    days: Vec<DayReport>,
    /// Whether nothing differs, or all of it was mended.
    ok: bool,
    /// API requests sent, retries included.
    requests: u64,
}

pub(crate) async fn run(args: args::Verify, given: &Given) -> Result<ExitCode, Failure> {
    if args.to < args.from {
        return Err(Failure::usage(format!("--to {} is before --from {}", args.to, args.from)));
    }
    let flags = [
        ("GENESYS_URL", args.genesys_url.as_deref()),
        ("ARCHIVE", args.archive.as_deref()),
        ("LEDGER", args.ledger.as_deref()),
    ];
    // What is mended comes from the source.
    let need = match args.repair || given.is_any_set(&OF_THE_CLIENT)? {
        true => Need::Source,
        false => Need::Nothing,
    };
    let settings = given.settings(need, &flags)?;
    let days = args.from.through(args.to);
    let work = async {
        match args.repair {
            true => Box::pin(mend(settings, &days, &args)).await,
            false => {
                let (house, client) = look(&settings).await?;
                refuse_unfinished(&house, args.to)?;
                compare(&settings, &house, client, &days, args.sample).await
            }
        }
    };
    let verified = tokio::select! {
        verified = Box::pin(work) => verified?,
        () = interrupted() => return Err(Failure::stopped("interrupted: run it again and it goes on where it was")),
    };
    if args.json {
        screen::json(&verified);
    } else {
        show(&verified);
    }
    Ok(ExitCode::from(u8::from(!verified.ok)))
}

async fn compare(
    settings: &Settings,
    house: &House,
    client: Option<GenesysClient>,
    days: &[Day],
    sample: Option<u64>,
) -> Result<Verified, Failure> {
    let verify = wiring::verify(settings, house, client.clone(), sample);
    let mut reports = Vec::with_capacity(days.len());
    for day in days {
        reports.push(verify.day(*day).await?);
    }
    Ok(Verified::new(reports, client.as_ref()))
}

/// Compares, makes due what can be mended, works until the days are closed, and compares those days again.
async fn mend(settings: Settings, days: &[Day], args: &args::Verify) -> Result<Verified, Failure> {
    check_archive(&settings)?;
    let connected = Box::pin(Connected::open(settings)).await?;
    let Connected { settings, house, client, .. } = &connected;
    refuse_unfinished(house, args.to)?;
    let verify = wiring::verify(settings, house, Some(client.clone()), args.sample);
    let (mut reports, mut mending) = (Vec::with_capacity(days.len()), Vec::new());
    for day in days {
        let report = verify.day(*day).await?;
        if verify.repair(&report).await? {
            mending.push(*day);
        }
        reports.push(report);
    }
    if !mending.is_empty() {
        let progress = Progress::new(args.json);
        let ended = run_until_closed(&connected.stages(), &mending, &progress).await;
        progress.finish();
        ended?;
    }
    let mut mended = Vec::with_capacity(reports.len());
    for report in reports {
        mended.push(match mending.contains(&report.day) {
            true => {
                let again = verify.day(report.day).await?;
                report.after_repair(again)
            }
            false => report,
        });
    }
    Ok(Verified::new(mended, Some(client)))
}

impl Verified {
    fn new(days: Vec<DayReport>, client: Option<&GenesysClient>) -> Self {
        let ok = days.iter().all(DayReport::is_ok);
        Self { days, ok, requests: client.map_or(0, GenesysClient::requests_sent) }
    }
}

fn show(verified: &Verified) {
    for day in &verified.days {
        show_day(day);
    }
    let findings = || verified.days.iter().flat_map(|day| &day.findings);
    let (all, mended) = (findings().count(), findings().filter(|finding| finding.repaired).count());
    let requests = verified.requests;
    screen::line(match (all, mended) {
        (0, _) => format!("all agree, {requests} API requests"),
        (all, 0) => format!("{all} differences, {requests} API requests"),
        (all, mended) => format!("{all} differences, {mended} of them mended, {requests} API requests"),
    });
}

fn show_day(day: &DayReport) {
    let marker = day.marker.map_or(day.state, |marker| marker.file_name());
    let verdict = if day.findings.is_empty() { "agrees" } else { "differs" };
    screen::line(format!("{}  {marker:<8}  {verdict}", day.day));
    let source = match &day.source {
        SourceSide::NotAsked => "not asked".to_owned(),
        SourceSide::Asked(tally) => format!(
            "{} conversations; {} recordings in the metadata of {}",
            tally.conversations, tally.recordings, tally.metadata
        ),
    };
    screen::line(format!("            source   {source}"));
    let (ledger, archive) = (&day.ledger, &day.archive);
    screen::line(format!(
        "            ledger   {} conversations, {} recordings, {} objects ({}), {} parked",
        ledger.conversations,
        ledger.recordings,
        ledger.objects,
        HumanBytes(ledger.bytes),
        ledger.parked
    ));
    screen::line(format!(
        "            archive  {} objects ({}), {} read",
        archive.objects,
        HumanBytes(archive.bytes),
        archive.read
    ));
    for (kind, tally) in &ledger.kinds {
        screen::line(format!("            {kind:<9}{:>8} agree{:>8} differ", tally.agree, tally.differ));
    }
    for finding in &day.findings {
        show_finding(finding);
    }
}

fn show_finding(finding: &Finding) {
    let mut about = Vec::new();
    about.extend(finding.key.as_ref().map(ToString::to_string));
    about.extend(finding.conversation.as_ref().map(|id| format!("conversation {id}")));
    about.extend(finding.recording.as_ref().map(|id| format!("recording {id}")));
    let advice = if finding.repaired { "mended" } else { finding.code.advice() };
    screen::line(format!("  {:<18} {}", finding.code.code(), about.join("  ")));
    screen::line(format!("  {:<18} {}: {advice}", "", finding.detail));
}
