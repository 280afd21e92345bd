//! The org: whether it is reached, lets the client in, and allows what an export asks for.

use std::time::Duration;

use callvault_bootstrap::settings::{OAuthClient, Settings};
use callvault_bootstrap::system;
use callvault_genesys::api::{ApiError, ConversationQuery, Conversations as _, Recordings as _, Window};
use callvault_genesys::http::{GenesysClient, Service};
use callvault_genesys::ids::ConversationId;
use callvault_pipeline::kind::Kind;
use jiff::{SignedDuration, Timestamp};

use super::media;
use super::report::{Check, Report};
use crate::cloud::Cloud;
use crate::connect;
use crate::user;

/// One question takes no longer, its repetitions included.
pub(super) const LONGEST_QUESTION: SignedDuration = SignedDuration::from_secs(30);

/// A clock that is further off makes signatures of AWS and ends of tokens wrong (AWS refuses at five minutes).
const MOST_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// How far back a conversation to try things on is looked for.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(6 * 24);

const EXPORT: &str = "exporting recordings";
const ROLE: &str = "give the permission to a role of the OAuth client, in all divisions that are exported";

/// Checks everything of the org; whether it was reached.
pub(super) async fn check(report: &mut Report, settings: &Settings, cloud: Option<&Cloud>) -> bool {
    let Some(endpoints) = &settings.endpoints else {
        report.add(
            Check::missing("region", "everything", "GENESYS_REGION is not set")
                .advise("set it to the region of the org, for instance mypurecloud.ie"),
        );
        return true;
    };
    // It asks without a token.
    let anybody = match user::nobody(endpoints, &settings.media_hosts) {
        Ok(anybody) => anybody,
        Err(error) => {
            report.add(Check::missing("http", "everything", error.to_string()));
            return false;
        }
    };
    let login = reach(report, &anybody, Service::Login, endpoints.login().as_str()).await;
    let api = reach(report, &anybody, Service::Api, endpoints.api().as_str()).await;
    match (login, api) {
        (Ok(one), Ok(other)) => clock(report, other.or(one)),
        _ => {
            report.add(Check::skipped("client", EXPORT, "the org is not reached"));
            return false;
        }
    }
    media::check(report, settings, endpoints, &anybody).await;
    match (&settings.source, cloud) {
        (None, _) => {
            report.add(Check::skipped("client", EXPORT, "no OAuth client with the grant `Client Credentials` is set"))
        }
        (Some(source), None) if matches!(source.client, OAuthClient::Secret(_)) => {
            report.add(Check::skipped("client", EXPORT, "its secret is on AWS, which is not set up"));
        }
        (Some(_), cloud) => match connect::client(settings, cloud.unwrap_or(&Cloud::none())).await {
            Ok(client) => client_of_the_org(report, settings, &within(&client)).await,
            Err(failure) => report.add(
                Check::missing("client", EXPORT, failure.text())
                    .advise("set GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET, or GENESYS_SECRET_ID"),
            ),
        },
    }
    true
}

/// The same client, for one question.
pub(super) fn within(client: &GenesysClient) -> GenesysClient {
    let now = system::clock().now();
    client.with_deadline(now.checked_add(LONGEST_QUESTION).unwrap_or(now))
}

async fn reach(
    report: &mut Report,
    client: &GenesysClient,
    service: Service,
    url: &str,
) -> Result<Option<Timestamp>, ()> {
    let (name, needed_for) = match service {
        Service::Login => ("login-host", "signing in"),
        Service::Api => ("api-host", "every question to the org"),
    };
    match client.reach(service).await {
        Ok(time) => {
            report.add(Check::ok(name, needed_for, format!("{url} answers")));
            Ok(time)
        }
        Err(error) => {
            let advice = "check GENESYS_REGION, the network, the proxy and the firewall of this machine";
            report.add(Check::missing(name, needed_for, format!("{url}: {error}")).advise(advice));
            Err(())
        }
    }
}

fn clock(report: &mut Report, theirs: Option<Timestamp>) {
    let needed_for = "the ends of tokens, the days that are over, and signatures on AWS";
    let Some(theirs) = theirs else {
        return report.add(Check::unknown("clock", needed_for, "the org does not say what time it is"));
    };
    let skew = system::clock().now().duration_since(theirs).abs();
    report.add(if skew <= MOST_SKEW {
        Check::ok("clock", needed_for, "agrees with the org's")
    } else {
        let off = Duration::try_from(skew).unwrap_or_default().as_secs();
        Check::missing("clock", needed_for, format!("this machine's clock is {off} s off"))
            .advise("let the machine set its clock by NTP")
    });
}

async fn client_of_the_org(report: &mut Report, settings: &Settings, client: &GenesysClient) {
    match client.sign_in().await {
        Ok(()) => report.add(Check::ok("client", EXPORT, "the OAuth client is let in")),
        Err(error) => {
            let advice = "check region, id and secret, and that the client's grant is `Client Credentials`";
            return report.add(judged("client", EXPORT, &error, advice));
        }
    }
    let found = conversations(report, client).await;
    metadata(report, client, found.as_ref()).await;
    let needed_for = "downloading recordings";
    let advice = format!("{ROLE}: recording:recording:view");
    report.add(match within(client).may_submit_batches().await {
        Ok(()) => Check::ok("permission-batch", needed_for, "recording:recording:view: batches may be submitted"),
        Err(error) => judged("permission-batch", needed_for, &error, &advice),
    });
    let detail = "recording:recording:viewSensitiveData: the org does not tell; without it sensitive recordings are left out silently";
    report.add(
        Check::unknown("permission-sensitive", "sensitive recordings", detail).advise(
            "if recordings are parked as sensitive-excluded, give the permission to a role of the OAuth client",
        ),
    );
    report.add(screens(settings));
}

fn screens(settings: &Settings) -> Check {
    let (name, needed_for) = ("permission-screen", "screen recordings");
    if !settings.kinds.is_empty() && !settings.kinds.contains(&Kind::Screen) {
        return Check::skipped(
            name,
            needed_for,
            "recording:screenRecording:view: not needed, MEDIA_KINDS leaves them out",
        );
    }
    let detail =
        "recording:screenRecording:view: the org does not tell; without it screen recordings are left out silently";
    Check::unknown(name, needed_for, detail)
        .advise("if the org records screens, make sure that a role of the OAuth client has the permission")
}

async fn conversations(report: &mut Report, client: &GenesysClient) -> Option<ConversationId> {
    let now = system::clock().now();
    let start = now.checked_sub(LOOK_BACK).unwrap_or(now);
    let query = ConversationQuery { window: Window { start, end: now }, queues: Vec::new(), page_size: 1 };
    let needed_for = "finding the conversations of a day";
    match within(client).page(&query, 1).await {
        Ok(page) => {
            let detail = "analytics:conversationDetail:view: conversations may be queried";
            report.add(Check::ok("permission-conversations", needed_for, detail));
            page.conversations.iter().map(|found| found.id().clone()).find(|id| !id.is_stand_in())
        }
        Err(error) => {
            let advice = format!("{ROLE}: analytics:conversationDetail:view");
            report.add(judged("permission-conversations", needed_for, &error, &advice));
            None
        }
    }
}

async fn metadata(report: &mut Report, client: &GenesysClient, found: Option<&ConversationId>) {
    let (name, needed_for) = ("permission-metadata", "knowing which recordings there should be");
    let Some(found) = found else {
        let detail = "recording:recording:view: no conversation of the last days to try it on";
        return report.add(Check::unknown(name, needed_for, detail).advise("run it again on a day with calls"));
    };
    let advice = format!("{ROLE}: recording:recording:view");
    report.add(match within(client).metadata(found).await {
        Ok(_) => Check::ok(name, needed_for, "recording:recording:view: recording metadata may be read"),
        Err(error) => judged(name, needed_for, &error, &advice),
    });
}

/// A question that was refused, or not answered.
pub(super) fn judged(name: &'static str, needed_for: &'static str, error: &ApiError, advice: &str) -> Check {
    match error {
        ApiError::SignInRefused { .. }
        | ApiError::Forbidden { .. }
        | ApiError::Refused { .. }
        | ApiError::NotFound { .. } => Check::missing(name, needed_for, error.to_string()).advise(advice),
        _ => Check::unknown(name, needed_for, error.to_string())
            .advise("run it again; if it stays so, check the network"),
    }
}
