//! The page: its head, its summary, and its parts in order.
//!
//! It runs no script and loads nothing: its policy lets a browser apply its one style sheet and forbids all else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use callvault_pipeline::day::Calendar;
use callvault_pipeline::reconcile::MetadataMode;
use callvault_pipeline::report::{Overview, Standing};
use indicatif::HumanBytes;
use sha2::{Digest as _, Sha256};

use super::html::Html;
use super::words::{self, Number};
use super::{calendar, tables};

/// The style sheet, as it stands in the page.
const STYLE: &str = include_str!("style.css");

/// What the page says of the settings.
#[derive(Debug)]
pub(super) struct About<'a> {
    pub(super) calendar: &'a Calendar,
    pub(super) lag_days: u32,
    pub(super) page_size: u64,
    pub(super) batch_size: u64,
    pub(super) metadata: MetadataMode,
}

/// The page. The same overview makes the same bytes.
pub(super) fn html(overview: &Overview, about: &About<'_>) -> String {
    let mut html = Html::default();
    head(&mut html);
    html.raw("<body>\n<header>\n<h1>callvault report</h1>\n<p>");
    if let (Some(first), Some(last)) = (overview.days.first(), overview.days.last()) {
        html.text(first.day).raw(" to ").text(last.day).raw(", ");
    }
    html.raw("days in ").text(about.calendar.zone_name()).raw(". Made ");
    html.raw("<time datetime=\"").text(overview.made_at.strftime("%Y-%m-%dT%H:%M:%SZ")).raw("\">");
    html.text(words::local(overview.made_at, about.calendar)).raw("</time> from the ledger.</p>\n</header>\n<main>\n");
    if overview.days.is_empty() {
        html.raw("<p class=\"note\">The ledger knows no day yet: export one, or give --from and --to.</p>\n");
    } else {
        summary(&mut html, overview);
        calendar::write(&mut html, overview);
        tables::volumes(&mut html, overview);
        tables::parked(&mut html, overview);
        tables::lag(&mut html, overview, about);
        tables::requests(&mut html, overview, about);
        tables::days(&mut html, overview, about);
    }
    html.raw("</main>\n<footer><p>callvault ").text(env!("CARGO_PKG_VERSION"));
    html.raw(". This page needs nothing beside itself and asks nothing of anybody.</p></footer>\n</body>\n</html>\n");
    html.finish()
}

fn head(html: &mut Html) {
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; ");
    html.raw("form-action 'none'; style-src 'sha256-").text(STANDARD.encode(Sha256::digest(STYLE)));
    html.raw("'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"color-scheme\" content=\"light dark\">\n");
    html.raw("<title>callvault report</title>\n<style>").raw(STYLE).raw("</style>\n</head>\n");
}

fn summary(html: &mut Html, overview: &Overview) {
    let (mut conversations, mut parked) = (0, 0);
    for (_, day) in overview.known() {
        conversations += day.counts.conversations;
        parked += day.counts.parked;
    }
    let stored = overview.kinds.values().map(|volume| volume.stored).sum();
    let bytes = overview.kinds.values().map(|volume| volume.bytes).sum::<u64>();
    html.raw("<section aria-label=\"Summary\">\n<dl class=\"tiles\">\n");
    for standing in [Standing::Complete, Standing::Parked, Standing::UnderWay, Standing::Missing] {
        let (class, _, _) = words::of(standing);
        let days = overview.standing(standing);
        let name = match standing {
            Standing::Complete => "complete",
            Standing::Parked => "with something parked",
            Standing::UnderWay => "under way",
            _ => "missing",
        };
        html.raw("<div class=\"").text(class).raw(if days == 1 { "\"><dt>day " } else { "\"><dt>days " });
        html.text(name).raw("</dt><dd>").text(Number(days as u64)).raw("</dd></div>\n");
    }
    for (name, value) in [
        ("conversations", Number(conversations).to_string()),
        ("recordings stored", Number(stored).to_string()),
        ("in the archive", HumanBytes(bytes).to_string()),
        ("parked", Number(parked).to_string()),
    ] {
        html.raw("<div><dt>").text(name).raw("</dt><dd>").text(value).raw("</dd></div>\n");
    }
    html.raw("</dl>\n</section>\n");
}
