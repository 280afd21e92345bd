//! The signed-in user: its secret, its token, what it may do with voicemail.
//!
//! Only looks: a token that has ended is not renewed here, and nothing is marked, deleted or disconnected.

use callvault_bootstrap::settings::{SecretPlace, Settings};
use callvault_bootstrap::system;
use callvault_genesys::api::ApiError;
use callvault_genesys::http::GenesysClient;
use callvault_genesys::region::Endpoints;
use callvault_genesys::user_secret::UserSecret;
use callvault_local::secret_file::SecretFile;
use callvault_pipeline::ledger::voicemail::Order;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;

use super::mailboxes;
use super::report::{Check, Report};
use super::source::{judged, within};
use crate::cloud::Cloud;
use crate::commands::login::destination::Destination;
use crate::user;

const VOICEMAIL: &str = "voicemail";

/// How often a token is renewed on AWS where nobody says otherwise: the template's default.
const ROTATION: SignedDuration = SignedDuration::from_hours(12);

/// Checks the user that the settings name.
pub(super) async fn check(report: &mut Report, settings: &Settings) {
    let Some(place) = &settings.voicemail.secret else {
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
    let every = rotation(report, &destination).await;
    life(report, every, &secret);
    let Some(token) = secret.access_token() else {
        return report.add(
            Check::missing("user-token", VOICEMAIL, "the secret holds no access token").advise("run `callvault login`"),
        );
    };
    match user::with_token(&endpoints, &token) {
        Ok(client) => user(report, settings, &destination, &secret, &client).await,
        Err(error) => report.add(judged("user-token", VOICEMAIL, &error, "")),
    }
}

fn org(settings: &Settings, secret: &UserSecret) -> Option<Endpoints> {
    let named = || secret.region().and_then(|region| Endpoints::of_region(&region).ok());
    settings.endpoints.clone().or_else(named)
}

async fn secret(report: &mut Report, place: &SecretPlace) -> Option<(Destination, UserSecret)> {
    let found = async {
        let destination = match place {
            SecretPlace::File(path) => Destination::File(SecretFile::new(path)),
            SecretPlace::Aws(id) => {
                let cloud = Cloud::for_user_secret().await.map_err(|failure| failure.text())?;
                Destination::Secret { id: id.clone(), cloud: Box::new(cloud) }
            }
        };
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

/// How often the secret is rotated; `None` where whoever uses it renews its token. A secret on AWS that is not rotated is
/// the one fault that surely ends voicemail.
async fn rotation(report: &mut Report, destination: &Destination) -> Option<SignedDuration> {
    let Destination::Secret { id, cloud } = destination else { return None };
    let (name, needed_for) = ("user-secret-rotation", "renewing the token before it ends");
    match cloud.user_secret_rotation(id).await {
        Ok((true, Some(hours))) => {
            report.add(Check::ok(name, needed_for, format!("{destination} is rotated every {hours} h")));
            Some(SignedDuration::from_hours(hours))
        }
        Ok((true, None)) => {
            let detail = format!("{destination} is rotated; how often its schedule does not say plainly");
            report.add(Check::ok(name, needed_for, detail));
            Some(ROTATION)
        }
        Ok((false, _)) => {
            let detail =
                format!("{destination} is not rotated: nobody renews its tokens, and they live two days at most");
            report.add(Check::missing(name, needed_for, detail).advise(
                "deploy the template with Voicemail=yes, or switch the rotation on: aws secretsmanager rotate-secret",
            ));
            Some(ROTATION)
        }
        Err(failure) => {
            report.add(
                Check::unknown(name, needed_for, failure.text())
                    .advise("allow secretsmanager:DescribeSecret; every 12 h is assumed"),
            );
            Some(ROTATION)
        }
    }
}

/// How long the token lives, against how often it is renewed.
fn life(report: &mut Report, every: Option<SignedDuration>, secret: &UserSecret) {
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
    let rotation = every.unwrap_or(ROTATION);
    report.add(match left {
        left if every.is_some() && left < rotation => {
            let renewed = rotation.as_hours();
            Check::missing(name, needed_for, format!("{hours} h are left, and the token is renewed every {renewed} h"))
                .advise(format!("look at the secret's rotation; {longer}"))
        }
        left if left.is_negative() => {
            Check::ok(name, needed_for, "the token has ended: it is renewed when it is used next")
        }
        left if left <= rotation * 2 => Check::ok(name, needed_for, format!("{hours} h are left")).advise(longer),
        _ => Check::ok(name, needed_for, format!("{hours} h are left")),
    });
}

async fn user(
    report: &mut Report,
    settings: &Settings,
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
    mailboxes::check(report, settings, client, held(mailboxes::VIEW)).await;
    for (name, permission, order, setting, needed_for) in [
        (
            "permission-voicemail-delete",
            "voicemail:acdvoicemail:delete",
            Order::Delete,
            "DELETE_AFTER_UPLOAD",
            "deleting voicemail after it is stored",
        ),
        (
            "permission-callback-disconnect",
            "conversation:communication:disconnect",
            Order::Disconnect,
            "DISCONNECT_CALLBACK",
            "disconnecting the callbacks of voicemail",
        ),
    ] {
        report.add(match (held(permission), settings.voicemail.orders.contains(&order)) {
            (Some(true), _) => Check::ok(name, needed_for, format!("{permission}: held")),
            (Some(false), true) => {
                Check::missing(name, needed_for, format!("{permission}: not held, and {setting} is set"))
                    .advise("give the permission to a role of the signed-in user")
            }
            (_, false) => Check::skipped(name, needed_for, format!("{permission}: not needed, {setting} is not set")),
            (None, true) => Check::unknown(name, needed_for, format!("{permission}: the org does not say")),
        });
    }
    report.add(mark_read(settings));
    let detail = "conversations: nothing tells but a refusal";
    report.add(
        Check::unknown("scope-conversations", "disconnecting the callbacks of voicemail", detail)
            .advise("make sure that the OAuth client has the scopes voicemail and conversations"),
    );
}

fn mark_read(settings: &Settings) -> Check {
    let (name, needed_for) = ("permission-mark-read", "marking voicemail as read after it is stored");
    if !settings.voicemail.orders.contains(&Order::MarkRead) {
        return Check::skipped(name, needed_for, "not needed, MARK_READ_AFTER_UPLOAD is not set");
    }
    let detail = "the org lets only whoever took part in a conversation mark its queue's message as read: nothing tells but a refusal";
    Check::unknown(name, needed_for, detail).advise("`callvault status` counts refusals; the copy stays either way")
}

/// A file's token is renewed by whoever uses it, as long as there is something to renew it with.
fn may_be_renewed(destination: &Destination, secret: &UserSecret) -> bool {
    let ended = secret.expires_at().is_some_and(|end| end <= system::clock().now());
    ended && matches!(destination, Destination::File(_)) && secret.refresh_token().is_some()
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
