//! An estimate for people: one line for each figure, with what it rests on.

use callvault_pipeline::estimate::{Basis, DayCounts, Figure, ProfileSource};
use indicatif::{HumanBytes, HumanCount};

use super::Estimated;
use super::aws::Paid;
use crate::screen::line;

pub(super) fn show(estimated: &Estimated) {
    let Estimated { from, to, estimate, allowed_per_minute, hours, aws, asked } = estimated;
    let DayCounts { asked: days, exported, counted, computed, sampled } = estimate.days;
    line(format!("{from} to {to}: {days} days, {exported} of them closed in the ledger and left out"));
    line("");
    let census = match computed {
        0 => format!("{counted} days counted at the source"),
        computed => format!("{counted} days counted at the source, {computed} computed from {sampled} of them"),
    };
    figure("conversations", estimate.conversations, &census);
    if estimate.exported != estimate.conversations {
        figure("  of them wanted", estimate.exported, "by REQUIRE_AGENT and RECORDED_ONLY");
    }
    figure("recordings", estimate.recordings, &profile(estimate.profile));
    for (kind, one) in &estimate.kinds {
        let bytes = format!("{} ({})", HumanBytes(one.bytes.value), one.bytes.basis.as_str());
        figure(&format!("  {kind}"), one.recordings, &bytes);
    }
    if let Some(out_of_reach) = estimate.out_of_reach {
        figure("  beside them", out_of_reach, "archived, deleted or unfinished at the source");
    }
    text(
        "bytes",
        &HumanBytes(estimate.bytes.value).to_string(),
        estimate.bytes.basis,
        bytes_from(estimate.bytes.basis),
    );
    figure("objects", estimate.objects, "recordings, a description of each conversation, two for each day");
    let requests = &estimate.requests;
    figure("API requests", Figure::new(requests.total, requests.basis), "without downloads, which have no such limit");
    for (operation, n) in [
        ("  query conversations", requests.by_operation.query),
        ("  query history", requests.by_operation.history),
        ("  submit batches", requests.by_operation.submit),
        ("  read batches", requests.by_operation.poll),
        ("  read metadata", requests.by_operation.metadata),
    ] {
        figure(operation, Figure::new(n, requests.basis), "");
    }
    let rate = format!("at {} requests a minute ({})", allowed_per_minute.value, allowed_per_minute.basis.as_str());
    text("hours", &format!("{:.2}", hours.value), hours.basis, &rate);
    for (paid, title) in [
        (Paid::Once, "AWS, once, $"),
        (Paid::EachMonthKept, "AWS, each month that they are kept, $"),
        (Paid::EachMonthDeployed, "AWS, each month, whatever is exported, $"),
    ] {
        line("");
        let regions: Vec<String> = aws.prices.keys().map(|region| format!("{region:>12}")).collect();
        line(format!("{title:<44}{:>16}{}", "", regions.concat()));
        for item in aws.items.iter().filter(|item| item.paid == paid) {
            let dollars: Vec<String> = item.dollars.values().map(|dollars| format!("{dollars:>12.2}")).collect();
            let amount = format!("{} {}", short(item.amount), item.unit);
            line(format!("  {:<38}{amount:>20}{}", item.name, dollars.concat()));
        }
        if let Some(sums) = aws.sums.get(&paid) {
            let sums: Vec<String> = sums.values().map(|sum| format!("{sum:>12.2}")).collect();
            line(format!("  {:<58}{}", "sum", sums.concat()));
        }
    }
    line("");
    line(format!(
        "Cost is {}: list prices as of {}, on what infra/COST.md measured or assumes.",
        aws.basis, aws.prices_written
    ));
    for (region, how) in &aws.prices {
        line(format!("  {region}: {how}"));
    }
    line(format!("{asked} API requests asked for this. Nothing was planned, nothing was fetched."));
}

fn figure(name: &str, figure: Figure, note: &str) {
    text(name, &HumanCount(figure.value).to_string(), figure.basis, note);
}

fn text(name: &str, value: &str, basis: Basis, note: &str) {
    line(format!("{name:<24}{value:>14}  {:<8}  {note}", basis.as_str()).trim_end());
}

fn bytes_from(basis: Basis) -> &'static str {
    match basis {
        Basis::Assumed => {
            "by length: call 4,000 B/s, screen 40,000 B/s; chat and message 5,000 B, e-mail 100,000 B each"
        }
        Basis::Sampled | Basis::Counted => "",
    }
}

fn short(amount: f64) -> String {
    match amount {
        small if small < 100.0 && small.fract() != 0.0 => format!("{small:.2}"),
        large => HumanCount(large.round() as u64).to_string(),
    }
}

fn profile(source: ProfileSource) -> String {
    match source {
        ProfileSource::Ledger { days, conversations } => {
            format!("as in the {days} latest closed days of the ledger ({conversations} conversations)")
        }
        ProfileSource::Metadata { conversations } => {
            format!("by the recording metadata of {conversations} conversations")
        }
        ProfileSource::Analytics { conversations } => {
            format!(
                "one for each of {conversations} conversations that says it was recorded: the metadata may not be read"
            )
        }
        ProfileSource::Nothing => "there was no conversation to look at".to_owned(),
    }
}
