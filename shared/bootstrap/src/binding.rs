//! What a ledger is bound to: its rows are true of one archive, environment, layout, time zone and org only.
//!
//! With another archive or layout they would claim what is not there; with another time zone or org, days would mean
//! something else. The first program that works on a ledger writes this into it, and every later one must say the same.

use crate::settings::Settings;

/// Names of settings with their values, as a ledger keeps them. `archive` is the archive's URL.
pub fn of(settings: &Settings, archive: String) -> Vec<(&'static str, String)> {
    let mut to = vec![
        ("ARCHIVE", archive),
        ("ENVIRONMENT", settings.layout.environment().to_owned()),
        ("KEY_LAYOUT", settings.layout.to_string()),
        ("TIMEZONE", settings.calendar.zone_name().to_owned()),
    ];
    // A simulator has another port every time.
    if let Some(endpoints) = settings.endpoints.as_ref().filter(|endpoints| endpoints.loopback().is_none()) {
        to.push(("GENESYS_REGION", endpoints.api().to_string()));
    }
    to
}

/// What is said to whoever wants to use a ledger with other settings. `differing` holds what it was made for.
pub fn refusal(ledger: &str, differing: &[(&'static str, String)]) -> String {
    let differing: Vec<String> = differing.iter().map(|(name, was)| format!("{name} `{was}`")).collect();
    format!(
        "the ledger {ledger} was made for {}: set that again, or give this export a LEDGER of its own",
        differing.join(", ")
    )
}
