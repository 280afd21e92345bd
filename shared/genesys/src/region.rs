//! The regions of Genesys Cloud and their hosts.
//!
//! Owns the list of regions (api.md, "Regions") and what follows from one: the API, sign-in and web hosts, and the hosts
//! its media may come from. It decides where we may talk to at all: https, or http to loopback for tests and the
//! simulator. It never opens a connection.

use url::{Host, Url};

use crate::ids::ConversationId;

/// Domain, and the AWS region it runs in.
const REGIONS: [(&str, &str); 18] = [
    ("mypurecloud.com", "us-east-1"),
    ("mypurecloud.ie", "eu-west-1"),
    ("mypurecloud.com.au", "ap-southeast-2"),
    ("mypurecloud.jp", "ap-northeast-1"),
    ("mypurecloud.de", "eu-central-1"),
    ("usw2.pure.cloud", "us-west-2"),
    ("cac1.pure.cloud", "ca-central-1"),
    ("apne2.pure.cloud", "ap-northeast-2"),
    ("euw2.pure.cloud", "eu-west-2"),
    ("aps1.pure.cloud", "ap-south-1"),
    ("use2.us-gov-pure.cloud", "us-east-2"),
    ("sae1.pure.cloud", "sa-east-1"),
    ("mec1.pure.cloud", "me-central-1"),
    ("apne3.pure.cloud", "ap-northeast-3"),
    ("euc2.pure.cloud", "eu-central-2"),
    ("mxc1.pure.cloud", "mx-central-1"),
    ("apse1.pure.cloud", "ap-southeast-1"),
    ("edee1.eusc-pure.cloud", "eusc-de-east-1"),
];

/// Why there are no endpoints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// No region of that name.
    #[error("unknown region `{region}`: expected one of {}", known_regions())]
    UnknownRegion {
        /// What was given.
        region: String,
    },
    /// Not a base URL we may talk to.
    #[error("not a base URL for Genesys Cloud: {why}")]
    BadBase {
        /// Which rule; the URL itself is not repeated, it may carry a password.
        why: &'static str,
    },
}

fn known_regions() -> String {
    REGIONS.map(|(domain, aws)| format!("{domain} ({aws})")).join(", ")
}

/// The regions, each as its domain and its AWS region.
pub fn regions() -> impl Iterator<Item = (&'static str, &'static str)> {
    REGIONS.into_iter()
}

/// The domain of a region that is named by its domain or by its AWS region.
pub fn domain_of(region: &str) -> Option<&'static str> {
    let name = region.trim().to_ascii_lowercase();
    regions().find(|(domain, aws)| *domain == name || *aws == name).map(|(domain, _)| domain)
}

/// Where one org's API, sign-in, web pages and media live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    api: Url,
    login: Url,
    apps: Url,
    media_hosts: Vec<String>,
    loopback: Option<Host<String>>,
}

impl Endpoints {
    /// The endpoints of a region, named by its domain (`mypurecloud.ie`) or by its AWS region (`eu-west-1`).
    ///
    /// # Errors
    /// [`EndpointError::UnknownRegion`], whose text lists the known ones.
    pub fn of_region(region: &str) -> Result<Self, EndpointError> {
        let name = region.trim().to_ascii_lowercase();
        let unknown = || EndpointError::UnknownRegion { region: region.trim().chars().take(60).collect() };
        let (domain, aws) =
            REGIONS.into_iter().find(|(domain, aws)| *domain == name || *aws == name).ok_or_else(unknown)?;
        let host = |part: &str| Url::parse(&format!("https://{part}.{domain}/")).map_err(|_| unknown());
        Ok(Self {
            api: host("api")?,
            login: host("login")?,
            apps: host("apps")?,
            media_hosts: media_hosts(domain, aws),
            loopback: None,
        })
    }

    /// One base URL for API, sign-in and web pages: for tests and the simulator.
    ///
    /// # Errors
    /// [`EndpointError::BadBase`] unless it is an `https` URL, or an `http` URL of a loopback host (`localhost`,
    /// `127.0.0.0/8`, `[::1]`), without user, query and fragment.
    pub fn of_base(url: &str) -> Result<Self, EndpointError> {
        let bad = |why| EndpointError::BadBase { why };
        let url = Url::parse(url.trim()).map_err(|_| bad("it is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it must not carry a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it must not carry a query or a fragment"));
        }
        let host = url.host().ok_or_else(|| bad("it has no host"))?.to_owned();
        let loopback = is_loopback(&host);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(bad("http is for loopback addresses only; use https")),
            _ => return Err(bad("expected https")),
        }
        Ok(Self {
            api: url.clone(),
            login: url.clone(),
            apps: url,
            media_hosts: if loopback { Vec::new() } else { vec![host.to_string()] },
            loopback: loopback.then_some(host),
        })
    }

    /// Base of the platform API, `https://api.<region>`.
    pub fn api(&self) -> &Url {
        &self.api
    }

    /// Base of the sign-in service, `https://login.<region>`.
    pub fn login(&self) -> &Url {
        &self.login
    }

    /// The hosts media may come from without being named in the settings: exact hosts and `*.` patterns.
    pub fn media_hosts(&self) -> &[String] {
        &self.media_hosts
    }

    /// The loopback host these endpoints are at, as it was written: the one host that may be talked to over http.
    pub fn loopback(&self) -> Option<&Host<String>> {
        self.loopback.as_ref()
    }

    /// The page of a conversation, for people.
    pub fn interaction_link(&self, conversation: &ConversationId) -> String {
        let base = self.apps.as_str().trim_end_matches('/');
        format!("{base}/directory/#/engage/admin/interactions/{conversation}")
    }
}

/// Whether a URL's host is this very machine: plain http goes nowhere else.
pub fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// The region's own domain, and S3 in its AWS region in every spelling S3 has for a bucket's host.
fn media_hosts(domain: &str, aws: &str) -> Vec<String> {
    // The European Sovereign Cloud is a partition of its own.
    let amazon = if aws.starts_with("eusc-") { "amazonaws.eu" } else { "amazonaws.com" };
    let mut hosts = vec![domain.to_owned(), format!("*.{domain}")];
    let mut s3 =
        vec![format!("s3.{aws}.{amazon}"), format!("s3-{aws}.{amazon}"), format!("s3.dualstack.{aws}.{amazon}")];
    if aws == "us-east-1" {
        s3.push(format!("s3.{amazon}"));
    }
    for host in s3 {
        hosts.push(format!("*.{host}"));
        hosts.push(host);
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_its_hosts_under_both_names() {
        for (domain, aws) in REGIONS {
            let endpoints = Endpoints::of_region(domain).unwrap();
            assert_eq!(endpoints.api().as_str(), format!("https://api.{domain}/"));
            assert_eq!(endpoints.login().as_str(), format!("https://login.{domain}/"));
            assert_eq!(endpoints, Endpoints::of_region(aws).unwrap());
            assert_eq!(endpoints, Endpoints::of_region(&format!(" {} ", domain.to_uppercase())).unwrap());
        }
    }

    #[test]
    fn an_unknown_region_lists_the_known_ones() {
        let error = Endpoints::of_region("mypurecloud.xx").unwrap_err().to_string();
        assert!(error.contains("mypurecloud.xx") && error.contains("mypurecloud.ie (eu-west-1)"), "{error}");
    }

    #[test]
    fn a_base_is_https_or_loopback() {
        for good in ["https://sim.example.com", "http://127.0.0.1:8080", "http://localhost:1/", "http://[::1]:9"] {
            assert!(Endpoints::of_base(good).is_ok(), "{good}");
        }
        for bad in [
            "http://sim.example.com",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "https://u:p@h",
            "https://h/?a",
            "https://h/#a",
            "http://localhost.example.com",
            "nonsense",
        ] {
            let error = Endpoints::of_base(bad).unwrap_err();
            assert!(!error.to_string().contains("u:p"), "{bad}");
        }
    }

    #[test]
    fn a_conversation_has_a_page() {
        let id: ConversationId = "c1".parse().unwrap();
        assert_eq!(
            Endpoints::of_region("eu-west-1").unwrap().interaction_link(&id),
            "https://apps.mypurecloud.ie/directory/#/engage/admin/interactions/c1"
        );
    }
}
