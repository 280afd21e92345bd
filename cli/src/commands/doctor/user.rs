//! The signed-in user: its secret, its token, what it may do with voicemail.
//!
//! Only looks: a token that has ended is not renewed here, and nothing is marked, deleted or disconnected.

use callvault_bootstrap::settings::Settings;
use callvault_bootstrap::system;
use callvault_genesys::api::{ApiError, Mailbox, Voicemails as _};
use callvault_genesys::http::GenesysClient;
use callvault_genesys::region::Endpoints;
use callvault_genesys::user_secret::UserSecret;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;

use super::report::{Check, Report};
use super::source::{judged, within};
use crate::commands::login::destination::Destination;
use crate::connect::Given;
use crate::user;

const VOICEMAIL: &str = "voicemail";

const VIEW: &str = "voicemail:acdvoicemail:view";

/// On AWS a token is renewed every twelve hours.
const ROTATION: SignedDuration = SignedDuration::from_hours(12);

/// A queue that no org has: whoever may list voicemail is told that there is none.
const NO_QUEUE: &str = "00000000-0000-0000-0000-000000000000";

/// Checks the user whose secret is at `place`.
pub(super) async fn check(report: &mut Report, given: &Given, settings: &Settings, place: Option<&str>) {
    let Some(place) = place else {
        return report.add(
            Check::skipped("user-secret", VOICEMAIL, "VOICEMAIL_SECRET_ID is not set: nobody is signed in")
                .advise("for voicemail: run `callvault login`, then set VOICEMAIL_SECRET_ID"),
        );
    };
    let Some((destination, secret)) = secret(report, place).await else { return };
    let Some(endpoints) = org(settings, &secret) else {
        return report.add(Check::missing(
            "user-token",
            VOICEMAIL,
            "neither GENESYS_REGION nor the secret names a region",
        ));
    };
    life(report, &destination, &secret);
    let Some(token) = secret.access_token() else {
        return report.add(
            Check::missing("user-token", VOICEMAIL, "the secret holds no access token").advise("run `callvault login`"),
        );
    };
    match user::with_token(&endpoints, &token) {
        Ok(client) => user(report, given, &destination, &secret, &client).await,
        Err(error) => report.add(judged("user-token", VOICEMAIL, &error, "")),
    }
}

fn org(settings: &Settings, secret: &UserSecret) -> Option<Endpoints> {
    let named = || secret.region().and_then(|region| Endpoints::of_region(&region).ok());
    settings.endpoints.clone().or_else(named)
}

async fn secret(report: &mut Report, place: &str) -> Option<(Destination, UserSecret)> {
    let found = async {
        let destination = Destination::named(place).await.map_err(|failure| failure.text())?;
        let text = destination.text().await.map_err(|failure| failure.text())?;
        let text = text.ok_or_else(|| format!("{destination} is not there, or holds nothing"))?;
        let secret = UserSecret::parse(text.expose_secret()).map_err(|fault| format!("{destination}: {fault}"))?;
        Ok::<_, String>((destination, secret))
    };
    match found.await {
        Ok((destination, secret)) => {
            report.add(Check::ok("user-secret", VOICEMAIL, format!("{destination} holds a client and can be read")));
            Some((destination, secret))
        }
        Err(detail) => {
            report.add(
                Check::missing("user-secret", VOICEMAIL, detail)
                    .advise("run `callvault login`, or check VOICEMAIL_SECRET_ID"),
            );
            None
        }
    }
}

/// How long the token lives, against how often it is renewed.
fn life(report: &mut Report, destination: &Destination, secret: &UserSecret) {
    let (name, longer) =
        ("user-token-life", "set the OAuth client's token duration to 172800 seconds (48 h), and sign in again");
    let needed_for = "voicemail between two renewals of the token";
    if secret.refresh_token().is_none() {
        return report
            .add(Check::missing(name, needed_for, "there is no refresh token").advise("run `callvault login`"));
    }
    let Some(end) = secret.expires_at() else {
        return report.add(
            Check::unknown(name, needed_for, "the secret does not say when the token ends")
                .advise("run `callvault login`"),
        );
    };
    let left = end.duration_since(system::clock().now());
    let hours = left.as_hours();
    let rotates = matches!(destination, Destination::Secret { .. });
    report.add(match left {
        left if rotates && left < ROTATION => {
            Check::missing(name, needed_for, format!("{hours} h are left, and the token is renewed every 12 h"))
                .advise(format!("look at the secret's rotation; {longer}"))
        }
        left if left.is_negative() => {
            Check::ok(name, needed_for, "the token has ended: it is renewed when it is used next")
        }
        left if left <= ROTATION * 2 => Check::ok(name, needed_for, format!("{hours} h are left")).advise(longer),
        _ => Check::ok(name, needed_for, format!("{hours} h are left")),
    });
}

async fn user(
    report: &mut Report,
    given: &Given,
    destination: &Destination,
    secret: &UserSecret,
    client: &GenesysClient,
) {
    let user = match within(client).signed_in_user().await {
        Ok(user) => user,
        Err(ApiError::SignInRefused { .. }) if may_be_renewed(destination, secret) => {
            let detail = "the token has ended: it is renewed when it is used next, so nothing could be tried with it";
            return report
                .add(Check::unknown("user-token", VOICEMAIL, detail).advise("run it again after the next renewal"));
        }
        Err(error) => return report.add(judged("user-token", VOICEMAIL, &error, "run `callvault login`")),
    };
    let who = user.id.as_deref().unwrap_or("a user");
    report.add(Check::ok("user-token", VOICEMAIL, format!("accepted, for {who}")));
    let held = |permission: &str| user.permissions.as_ref().map(|all| all.iter().any(|one| covers(one, permission)));
    listing(report, given, client, held(VIEW)).await;
    for (name, permission, setting, needed_for) in [
        (
            "permission-voicemail-delete",
            "voicemail:acdvoicemail:delete",
            "DELETE_AFTER_UPLOAD",
            "deleting voicemail after it is stored",
        ),
        (
            "permission-callback-disconnect",
            "conversation:communication:disconnect",
            "DISCONNECT_CALLBACK",
            "disconnecting the callbacks of voicemail",
        ),
    ] {
        let set = given.setting(setting).ok().flatten();
        let wanted = set.is_some_and(|value| ["true", "yes", "1", "on"].contains(&value.to_ascii_lowercase().as_str()));
        report.add(match (held(permission), wanted) {
            (Some(true), _) => Check::ok(name, needed_for, format!("{permission}: held")),
            (Some(false), true) => {
                Check::missing(name, needed_for, format!("{permission}: not held, and {setting} is set"))
                    .advise("give the permission to a role of the signed-in user")
            }
            (_, false) => Check::skipped(name, needed_for, format!("{permission}: not needed, {setting} is not set")),
            (None, true) => Check::unknown(name, needed_for, format!("{permission}: the org does not say")),
        });
    }
    let detail = "conversations: nothing tells but a refusal";
    report.add(
        Check::unknown("scope-conversations", "disconnecting the callbacks of voicemail", detail)
            .advise("make sure that the OAuth client has the scopes voicemail and conversations"),
    );
}

/// A file's token is renewed by whoever uses it, as long as there is something to renew it with.
fn may_be_renewed(destination: &Destination, secret: &UserSecret) -> bool {
    let ended = secret.expires_at().is_some_and(|end| end <= system::clock().now());
    ended && matches!(destination, Destination::File(_)) && secret.refresh_token().is_some()
}

/// `held`: whether the user's own list of permissions has it, where the org shows one.
async fn listing(report: &mut Report, given: &Given, client: &GenesysClient, held: Option<bool>) {
    let (name, needed_for) = ("permission-voicemail-view", "finding and reading voicemail");
    let queues = given.setting("VOICEMAIL_QUEUES").ok().flatten().unwrap_or_default();
    let queue = queues.split(',').map(str::trim).find(|one| !one.is_empty());
    let Ok(id) = queue.unwrap_or(NO_QUEUE).parse() else {
        return report.add(Check::missing(name, needed_for, "VOICEMAIL_QUEUES does not begin with the id of a queue"));
    };
    let not_held = || {
        Check::missing(name, needed_for, format!("{VIEW}: not held"))
            .advise("give the permission to a role of the signed-in user")
    };
    let may = format!("{VIEW}, scope voicemail: voicemail may be listed");
    report.add(match within(client).list(&Mailbox::Queue(id), 1, 1).await {
        Ok(_) => Check::ok(name, needed_for, may),
        // Whether a queue is known may be asked before whether the user may look into it.
        Err(ApiError::NotFound { .. }) if held == Some(false) => not_held(),
        Err(ApiError::NotFound { .. }) if queue.is_none() => Check::ok(name, needed_for, may),
        Err(error @ ApiError::NotFound { .. }) => {
            Check::missing(name, needed_for, error.to_string()).advise("check the ids in VOICEMAIL_QUEUES")
        }
        Err(ApiError::Forbidden { code, .. }) if code.starts_with("missing.") || held == Some(false) => not_held(),
        Err(error @ ApiError::Forbidden { .. }) => {
            Check::missing(name, needed_for, format!("scope voicemail: {error}"))
                .advise("give the OAuth client the scope voicemail, and sign in again with `callvault login`")
        }
        Err(error) => judged(name, needed_for, &error, "check the region"),
    });
}

/// Whether a permission that is held, perhaps with `*` in it, covers another.
fn covers(held: &str, wanted: &str) -> bool {
    let (mut held, mut wanted) = (held.split(':'), wanted.split(':'));
    loop {
        match (held.next(), wanted.next()) {
            (None, None) => return true,
            (Some("*"), None | Some(_)) if held.clone().next().is_none() => return true,
            (Some(one), Some(other)) if one == "*" || one.eq_ignore_ascii_case(other) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_covers_what_is_below_it() {
        for (held, covered) in [
            ("voicemail:acdVoicemail:delete", true),
            ("voicemail:acdvoicemail:*", true),
            ("voicemail:*", true),
            ("*", true),
            ("voicemail:*:delete", true),
            ("voicemail:acdvoicemail:view", false),
            ("voicemail:acdvoicemail", false),
            ("conversation:*", false),
            ("", false),
        ] {
            assert_eq!(covers(held, "voicemail:acdvoicemail:delete"), covered, "{held}");
        }
    }
}
