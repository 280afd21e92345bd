//! The hosts media come from: one of each kind is tried, and those that MEDIA_HOSTS names in full.
//!
//! Asks through the client that downloads, without a token. What lies behind a pattern cannot be tried.

use callvault_bootstrap::settings::Settings;
use callvault_genesys::http::GenesysClient;
use callvault_genesys::region::Endpoints;
use futures_util::future::join_all;
use url::Url;

use super::report::{Check, Report};

const NAME: &str = "media-hosts";
const NEEDED_FOR: &str = "downloading from where the org keeps its media";

/// Tries them at once; each takes ten seconds at most.
pub(super) async fn check(report: &mut Report, settings: &Settings, endpoints: &Endpoints, client: &GenesysClient) {
    let (patterns, hosts): (Vec<&String>, Vec<&String>) =
        settings.media_hosts.iter().partition(|host| host.starts_with("*."));
    let mut urls = of_the_org(endpoints);
    urls.extend(hosts.iter().filter_map(|host| Url::parse(&format!("https://{host}/")).ok()));
    let asked = urls.iter().map(async |url| (url, client.reach_media(url).await));
    let (mut reached, mut failed) = (Vec::new(), Vec::new());
    for (url, answer) in join_all(asked).await {
        let host = url.host_str().unwrap_or_default();
        match answer {
            Ok(()) => reached.push(host),
            Err(error) => failed.push(format!("{host}: {error}")),
        }
    }
    report.add(match failed.is_empty() {
        true => Check::ok(NAME, NEEDED_FOR, format!("{} answer", reached.join(", "))),
        false => Check::missing(NAME, NEEDED_FOR, failed.join("; "))
            .advise("let this machine reach these hosts over https without a proxy; check MEDIA_HOSTS"),
    });
    if !patterns.is_empty() {
        let patterns: Vec<&str> = patterns.into_iter().map(String::as_str).collect();
        let detail = format!("{}: what is behind a pattern of MEDIA_HOSTS cannot be tried", patterns.join(", "));
        report.add(Check::unknown(NAME, NEEDED_FOR, detail));
    }
}

/// The org's own domain and the store of its region; where the org is on this machine, that.
fn of_the_org(endpoints: &Endpoints) -> Vec<Url> {
    let store = endpoints.media_hosts().iter().find(|host| host.starts_with("s3."));
    let store = store.and_then(|host| Url::parse(&format!("https://{host}/")).ok());
    [Some(endpoints.api().clone()), store].into_iter().flatten().collect()
}
