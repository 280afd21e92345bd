//! The tables: volumes, what is parked, lag, requests, days.

use callvault_pipeline::kind::Kind;
use callvault_pipeline::reason::Reason;
use callvault_pipeline::reconcile::MetadataMode;
use callvault_pipeline::report::{DayEntry, Overview, Standing};
use callvault_pipeline::requests::{self, PUBLISHED_LIMIT, Requests, Shape};
use callvault_pipeline::volumes::Volume;
use indicatif::HumanBytes;
use jiff::SignedDuration;

use super::html::Html;
use super::page::About;
use super::words::{self, Lasting, Number};

/// Opens a section with a table in a frame of its own, which scrolls where the page is narrow.
fn open(html: &mut Html, id: &'static str, title: &'static str, caption: &'static str) {
    section(html, id, title);
    table(html, caption);
}

fn section(html: &mut Html, id: &'static str, title: &'static str) {
    html.raw("<section aria-labelledby=\"").raw(id).raw("\">\n<h2 id=\"").raw(id).raw("\">").raw(title).raw("</h2>\n");
}

fn table(html: &mut Html, caption: &'static str) {
    html.raw("<div class=\"frame\" role=\"region\" tabindex=\"0\" aria-label=\"").raw(caption).raw("\"><table>");
    html.raw("<caption>").raw(caption).raw("</caption>\n<thead><tr>");
}

/// Column heads; a `#` before a name says that it has numbers.
fn heads(html: &mut Html, names: &[&'static str]) {
    for name in names {
        match name.strip_prefix('#') {
            Some(name) => html.raw("<th scope=\"col\" class=\"n\">").raw(name).raw("</th>"),
            None => html.raw("<th scope=\"col\">").raw(name).raw("</th>"),
        };
    }
    html.raw("</tr></thead>\n<tbody>\n");
}

fn row(html: &mut Html, head: impl std::fmt::Display) {
    html.raw("<tr><th scope=\"row\">").text(head).raw("</th>");
}

fn close(html: &mut Html) {
    html.raw("</tbody></table></div>\n");
}

fn end(html: &mut Html) {
    close(html);
    html.raw("</section>\n");
}

pub(super) fn volumes(html: &mut Html, overview: &Overview) {
    open(html, "volumes", "Volumes", "Recordings of these days, by kind");
    heads(html, &["Kind", "#Recordings", "#Stored", "#Objects", "#Bytes", "Share of bytes", "#Parked", "#Left out"]);
    let mut all = Volume::default();
    overview.kinds.values().for_each(|volume| all += *volume);
    for kind in Kind::ALL {
        let Some(volume) = overview.kinds.get(&kind) else { continue };
        row(html, kind);
        numbers(html, volume, share(volume.bytes, all.bytes));
    }
    html.raw("</tbody><tfoot>");
    row(html, "all");
    numbers(html, &all, None);
    html.raw("</tfoot></table></div>\n<p class=\"note\">Beside them ").text(Number(overview.documents.0));
    html.raw(" objects describe conversations (").text(HumanBytes(overview.documents.1)).raw(").");
    if let Some(voicemail) = &overview.voicemail {
        html.raw(" Of all days: ").text(Number(voicemail.messages)).raw(" voicemail messages (");
        html.text(HumanBytes(voicemail.bytes)).raw(").");
    }
    html.raw("</p>\n</section>\n");
}

/// Percent, where there is anything.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

fn numbers(html: &mut Html, volume: &Volume, share: Option<f64>) {
    html.number(Number(volume.recordings)).number(Number(volume.stored)).number(Number(volume.objects));
    html.number(HumanBytes(volume.bytes)).raw("<td>");
    if let Some(share) = share {
        let share = format!("{share:.1}");
        html.raw("<svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
        html.raw("<rect class=\"track\" width=\"100\" height=\"8\"/><rect width=\"").text(&share);
        html.raw("\" height=\"8\"/></svg> <span class=\"nowrap\">").text(&share).raw(" %</span>");
    }
    html.raw("</td>").number(Number(volume.parked)).number(Number(volume.left_out)).raw("</tr>\n");
}

pub(super) fn parked(html: &mut Html, overview: &Overview) {
    if overview.parked.is_empty() {
        section(html, "parked", "Parked");
        html.raw("<p class=\"note\">Nothing is parked.</p>\n</section>\n");
        return;
    }
    open(html, "parked", "Parked", "What should be in the archive and is not, by reason, and what to do about it");
    heads(html, &["Reason and next step", "#Parked", "#Days"]);
    let mut reasons: Vec<_> = overview.parked.iter().collect();
    reasons.sort_by_key(|(code, (n, _))| (std::cmp::Reverse(*n), *code));
    for (code, (n, days)) in reasons {
        let reason = Reason::ALL.iter().find(|reason| reason.code() == code);
        html.raw("<tr><th scope=\"row\" class=\"reason\">").text(code);
        if let Some(reason) = reason {
            html.raw("<p>").text(reason.advice()).raw("</p>");
        }
        // What is gone stays gone, however often it is asked for.
        if reason != Some(&Reason::Deleted) {
            html.raw("<code>callvault redrive --reason ").text(code).raw("</code>");
        }
        html.raw("</th>").number(Number(*n)).number(Number(*days)).raw("</tr>\n");
    }
    end(html);
}

pub(super) fn lag(html: &mut Html, overview: &Overview, about: &About<'_>) {
    section(html, "lag", "Lag");
    let mut lags: Vec<SignedDuration> = overview.known().filter_map(|(_, day)| day.lag).collect();
    lags.sort();
    html.raw("<ul>\n<li>");
    match (lags.first(), lags.get(lags.len() / 2), lags.last()) {
        (Some(least), Some(middle), Some(most)) => {
            html.raw("From the end of a day to its marker: ").text(Lasting(*least)).raw(" at least, ");
            html.text(Lasting(*middle)).raw(" in the median, ").text(Lasting(*most)).raw(" at most, over ");
            html.text(Number(lags.len() as u64))
                .raw(" closed days. A day that was closed again counts with its last marker.");
        }
        _ => {
            html.raw("No day is closed.");
        }
    }
    html.raw("</li>\n<li>");
    missing(html, overview, about);
    html.raw("</li>\n</ul>\n");
    if overview.due.is_empty() {
        html.raw("<p class=\"note\">Nothing is due, now or later.</p>\n</section>\n");
        return;
    }
    table(html, "Work that is due, of all days");
    heads(html, &["Stage", "Next is due", "Which is"]);
    for due in &overview.due {
        row(html, due.stage.as_str());
        html.cell(words::local(due.at, about.calendar)).raw("<td>");
        let late = overview.made_at.duration_since(due.at);
        match late.is_positive() {
            true => html.text(Lasting(late)).raw(" ago"),
            false => html.raw("in ").text(Lasting(late)),
        };
        html.raw("</td></tr>\n");
    }
    end(html);
}

/// Stretches of missing days that are named one by one.
const NAMED: usize = 8;

fn missing(html: &mut Html, overview: &Overview, about: &About<'_>) {
    let is_missing = |entry: &DayEntry| entry.standing == Standing::Missing;
    let same = |a: &DayEntry, b: &DayEntry| is_missing(a) == is_missing(b);
    let stretches: Vec<_> = overview.days.chunk_by(same).filter(|days| days.first().is_some_and(is_missing)).collect();
    let days: usize = stretches.iter().map(|days| days.len()).sum();
    if days == 0 {
        html.raw("Every day that should be known by now is (LAG_DAYS=").text(about.lag_days).raw(").");
        return;
    }
    html.text(Number(days as u64)).raw(if days == 1 { " day" } else { " days" });
    html.raw(" should be known by now (LAG_DAYS=")
        .text(about.lag_days)
        .raw(") and not in the ledger: export them.\n<ul>");
    for stretch in stretches.iter().take(NAMED) {
        if let (Some(first), Some(last)) = (stretch.first(), stretch.last()) {
            html.raw("<li><a href=\"#d").text(first.day).raw("\"><code>callvault export --from ").text(first.day);
            html.raw(" --to ").text(last.day).raw("</code></a></li>");
        }
    }
    if let Some(more) = stretches.len().checked_sub(NAMED).filter(|more| *more > 0) {
        html.raw("<li>and ").text(more).raw(" more stretches, see below</li>");
    }
    html.raw("</ul>");
}

pub(super) fn requests(html: &mut Html, overview: &Overview, about: &About<'_>) {
    let About { page_size, batch_size, metadata, .. } = *about;
    let mut least = Requests::default();
    for (_, day) in overview.known() {
        let left_out = day.counts.conversations_by_state.get("left-out").copied().unwrap_or_default();
        let found = day.counts.conversations;
        least += requests::least(Shape { page_size, batch_size, metadata }, found, found - left_out);
    }
    section(html, "requests", "Requests");
    html.raw("<p class=\"note\">The ledger records no API requests: <code>callvault export --json</code> tells those of a run. ");
    html.raw(
        "What follows is computed from the days above: what exporting them takes at least, once, when nothing has to ",
    );
    html.raw("be asked twice.</p>\n");
    table(html, "API requests that these days take at least");
    heads(html, &["Operation", "#Requests", "Computed as"]);
    let per_page = format!("pages of {page_size} (PAGE_SIZE), by day");
    let per_batch = format!("conversations / {batch_size} (BATCH_SIZE), by day");
    let metadata = match metadata {
        MetadataMode::Full => "one for each conversation (METADATA=full)",
        MetadataMode::Analytics => "only of conversations that look wrong (METADATA=analytics)",
    };
    for (operation, n, formula) in [
        ("query conversations", least.query, per_page.as_str()),
        ("submit batches", least.submit, per_batch.as_str()),
        ("read batches", least.poll, "each batch once"),
        ("read recording metadata", least.metadata, metadata),
    ] {
        row(html, operation);
        html.number(Number(n)).cell(formula).raw("</tr>\n");
    }
    html.raw("</tbody><tfoot>");
    row(html, "all");
    let time = SignedDuration::try_from(requests::time(least.total(), PUBLISHED_LIMIT)).unwrap_or_default();
    html.number(Number(least.total())).raw("<td>").text(Lasting(time)).raw(" at ").text(PUBLISHED_LIMIT);
    html.raw(" requests a minute, the published limit, of which 95 % are used in 62 s</td></tr>\n");
    html.raw("</tfoot></table></div>\n</section>\n");
}

pub(super) fn days(html: &mut Html, overview: &Overview, about: &About<'_>) {
    open(html, "details", "Day by day", "Every day of this report");
    heads(
        html,
        &[
            "Day",
            "State",
            "#Conversations",
            "#Recordings",
            "#Stored",
            "#Parked",
            "#Bytes",
            "Closed",
            "After its end",
            "#Generation",
        ],
    );
    for entry in &overview.days {
        let (class, word, _) = words::of(entry.standing);
        html.raw("<tr id=\"d").text(entry.day).raw("\"><th scope=\"row\"><time>").text(entry.day).raw("</time></th>");
        html.raw("<td><span class=\"key ").text(class).raw("\">").text(word).raw("</span></td>");
        let Some(day) = &entry.known else {
            html.raw("<td colspan=\"8\" class=\"none\">not in the ledger</td></tr>\n");
            continue;
        };
        let counts = &day.counts;
        for n in [counts.conversations, counts.recordings, counts.stored, counts.parked] {
            html.number(Number(n));
        }
        html.number(HumanBytes(counts.bytes));
        match (day.fact.closed_at, day.lag) {
            (Some(closed), Some(lag)) => html.cell(words::local(closed, about.calendar)).cell(Lasting(lag)),
            _ => html.raw("<td class=\"none\">not closed</td><td></td>"),
        };
        html.number(day.fact.generation).raw("</tr>\n");
    }
    end(html);
}
