//! Where media may be fetched from: the rules, and the lookup that keeps them.
//!
//! A URL from the source is only a claim. It is followed if it is https, its host is on the list, and the host's
//! address is a public one, both as it is written and as the name resolves. The loopback host of a loopback base is
//! the one exception. The rules are pure; [`PublicOnly`] is the resolver that the media client connects through, so
//! that a name cannot be checked with one address and reached at another.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;
use url::{Host, Url};

/// A host, or everything below one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exactly(Host<String>),
    Below(String),
}

impl Pattern {
    fn read(text: &str) -> Option<Self> {
        let (name, below) = match text.trim().strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text.trim(), false),
        };
        match (Host::parse(name.trim_end_matches('.')).ok()?, below) {
            // `*.com` would be everybody.
            (Host::Domain(name), _) if name.contains('*') => None,
            (Host::Domain(name), true) => name.contains('.').then_some(Self::Below(name)),
            (_, true) => None,
            (host, false) => Some(Self::Exactly(host)),
        }
    }

    fn fits(&self, host: &Host<String>) -> bool {
        match (self, host) {
            (Self::Exactly(own), host) => own == host,
            (Self::Below(own), Host::Domain(name)) => {
                name.strip_suffix(own.as_str()).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
            }
            (Self::Below(_), _) => false,
        }
    }
}

/// The hosts media may come from.
#[derive(Debug, Clone)]
pub(super) struct MediaRules {
    allowed: Vec<Pattern>,
    loopback: Option<Host<String>>,
}

impl MediaRules {
    /// Rules from patterns (`host` or `*.domain`) and the loopback host, if the endpoints are at one.
    ///
    /// # Errors
    /// The first pattern that is none.
    pub(super) fn new<'p>(
        patterns: impl IntoIterator<Item = &'p str>,
        loopback: Option<Host<String>>,
    ) -> Result<Self, String> {
        let read = |text: &str| Pattern::read(text).ok_or_else(|| text.to_owned());
        Ok(Self { allowed: patterns.into_iter().map(read).collect::<Result<_, _>>()?, loopback })
    }

    /// Judges a URL by what is written in it.
    ///
    /// # Errors
    /// Which rule it breaks, with at most the host's name: never its path or query.
    pub(super) fn judge(&self, url: &Url) -> Result<(), String> {
        let host = url.host().ok_or("it has no host")?.to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("it carries a user name for {host}"));
        }
        let scheme = url.scheme();
        if self.loopback.as_ref() == Some(&host) && matches!(scheme, "http" | "https") {
            return Ok(());
        }
        if scheme != "https" {
            return Err(format!("{host} over {scheme}, not https"));
        }
        let address = match &host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        };
        if address.is_some_and(|address| !is_public(address)) {
            return Err(format!("{host} is not a public address"));
        }
        let host = match host {
            Host::Domain(name) => Host::Domain(name.trim_end_matches('.').to_owned()),
            address => address,
        };
        if self.allowed.iter().any(|pattern| pattern.fits(&host)) {
            return Ok(());
        }
        Err(format!("{host} is not on the list of media hosts"))
    }

    fn may_be_loopback(&self, name: &str) -> bool {
        matches!(&self.loopback, Some(Host::Domain(own)) if own == name)
    }
}

/// Whether an address belongs to the public internet. Everything with a special purpose (IANA's registries of special
/// addresses) is not, and neither is an IPv4 address in disguise.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || (a == 100 && (64..128).contains(&b)) // shared by carriers, RFC 6598
        || (a == 192 && b == 0 && c == 0) // protocol assignments, RFC 6890
        || (a == 192 && b == 88 && c == 99) // 6to4 relays, RFC 7526
        || (a == 198 && (b == 18 || b == 19)) // benchmarks, RFC 2544
        || a >= 224) // multicast, reserved, broadcast
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, ..] = address.segments();
    if (a, b, c, d, e, f) == (0x64, 0xff9b, 0, 0, 0, 0) {
        // NAT64 (RFC 6052) is how an IPv6-only network reaches IPv4: as public as what it stands for.
        let [.., w, x, y, z] = address.octets();
        return is_public_v4(Ipv4Addr::new(w, x, y, z));
    }
    // Only 2000::/3 is global unicast. In it: protocol assignments and Teredo (2001::/23), documentation
    // (2001:db8::/32, 3fff::/20), 6to4 (2002::/16).
    (a & 0xe000) == 0x2000
        && !(a == 0x2001 && b < 0x200)
        && !(a == 0x2001 && b == 0xdb8)
        && a != 0x2002
        && !(a == 0x3fff && b < 0x1000)
}

/// A name whose addresses are all private. A type of its own, so that it is recognised among connection faults.
#[derive(Debug, thiserror::Error)]
#[error("{host} resolves to no public address")]
pub(super) struct OnlyPrivate {
    host: String,
}

/// Looks names up and drops every address that is not public.
#[derive(Debug, Clone)]
pub(super) struct PublicOnly {
    rules: Arc<MediaRules>,
}

/// Addresses of a name.
type Addresses = std::vec::IntoIter<SocketAddr>;

impl PublicOnly {
    pub(super) fn new(rules: MediaRules) -> Self {
        Self { rules: Arc::new(rules) }
    }
}

impl Service<Name> for PublicOnly {
    type Response = Addresses;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Addresses, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let host = name.as_str().to_owned();
        let loopback = self.rules.may_be_loopback(&host);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(keep(host, found.into_iter(), loopback)?)
        })
    }
}

fn keep(host: String, found: impl Iterator<Item = SocketAddr>, loopback: bool) -> Result<Addresses, OnlyPrivate> {
    let fits = |ip: IpAddr| {
        if loopback { ip.is_loopback() } else { is_public(ip) }
    };
    let kept: Vec<SocketAddr> = found.filter(|address| fits(address.ip())).collect();
    if kept.is_empty() { Err(OnlyPrivate { host }) } else { Ok(kept.into_iter()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Endpoints;

    fn rules(endpoints: &Endpoints, more: &[&str]) -> MediaRules {
        let patterns = endpoints.media_hosts().iter().map(String::as_str).chain(more.iter().copied());
        MediaRules::new(patterns, endpoints.loopback().cloned()).unwrap()
    }

    fn allows(rules: &MediaRules, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| rules.judge(&url).is_ok())
    }

    #[test]
    fn a_region_allows_its_own_hosts_and_its_s3() {
        let ireland = rules(&Endpoints::of_region("eu-west-1").unwrap(), &["media.example.com", "*.cdn.example.net"]);
        for url in [
            "https://mypurecloud.ie/a",
            "https://apps.mypurecloud.ie/a",
            "https://a.b.mypurecloud.ie./a",
            "https://bucket.s3.eu-west-1.amazonaws.com/k?X-Amz-Signature=1",
            "https://s3.eu-west-1.amazonaws.com/bucket/k",
            "https://bucket.s3-eu-west-1.amazonaws.com/k",
            "https://bucket.s3.dualstack.eu-west-1.amazonaws.com/k",
            "https://MEDIA.example.com/a",
            "https://x.cdn.example.net:8443/a",
        ] {
            assert!(allows(&ireland, url), "{url}");
        }
        for url in [
            "http://apps.mypurecloud.ie/a",
            "ftp://apps.mypurecloud.ie/a",
            "https://mypurecloud.ie.evil.com/a",
            "https://evilmypurecloud.ie/a",
            "https://.mypurecloud.ie/a",
            "https://apps.mypurecloud.com/a",
            "https://bucket.s3.us-east-1.amazonaws.com/k",
            "https://bucket.s3.amazonaws.com/k",
            "https://s3.eu-west-1.amazonaws.com.evil.com/k",
            "https://ec2.eu-west-1.amazonaws.com/k",
            "https://user@apps.mypurecloud.ie/a",
            "https://u:p@apps.mypurecloud.ie/a",
            "https://apps.mypurecloud.ie@evil.com/a",
            "https://apps.mypurecloud.ie\\@evil.com/a/../..",
            "https://sub.media.example.com/a",
            "https://cdn.example.net/a",
            "https://127.0.0.1/a",
            "https://localhost/a",
            "https://169.254.169.254/latest",
            "https://2852039166/latest",
            "https://[::ffff:169.254.169.254]/a",
            "https://8.8.8.8/a",
            "file:///etc/passwd",
            "data:text/plain,x",
        ] {
            let backslash = url.contains('\\');
            // A backslash ends the host for every browser and for us: the host is then the allowed one.
            assert!(allows(&ireland, url) == backslash, "{url}");
        }
        assert!(allows(&rules(&Endpoints::of_region("us-east-1").unwrap(), &[]), "https://b.s3.amazonaws.com/k"));
    }

    #[test]
    fn loopback_is_allowed_only_as_it_is_written_in_the_base() {
        let local = rules(&Endpoints::of_base("http://127.0.0.1:8080").unwrap(), &["10.1.2.3"]);
        for (url, allowed) in [
            ("http://127.0.0.1:9/a", true),
            ("https://127.0.0.1/a", true),
            ("http://127.0.0.2/a", false),
            ("http://localhost/a", false),
            ("http://[::1]/a", false),
            ("http://u@127.0.0.1/a", false),
            ("ftp://127.0.0.1/a", false),
            ("https://10.1.2.3/a", false),
            ("https://example.com/a", false),
        ] {
            assert_eq!(allows(&local, url), allowed, "{url}");
        }
        assert!(allows(&rules(&Endpoints::of_base("http://localhost:1").unwrap(), &[]), "http://localhost:2/a"));
    }

    #[test]
    fn only_the_public_internet_is_public() {
        for (address, public) in [
            ("8.8.8.8", true),
            ("52.218.0.1", true),
            ("100.63.0.1", true),
            ("172.32.0.1", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("192.0.0.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("203.0.113.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2a05:d018::1", true),
            ("64:ff9b::808:808", true),
            ("64:ff9b::a00:1", false),
            ("::", false),
            ("::1", false),
            ("::ffff:8.8.8.8", false),
            ("::8.8.8.8", false),
            ("fe80::1", false),
            ("fd00:ec2::254", false),
            ("ff02::1", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("2002:7f00:1::", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn a_lookup_keeps_public_addresses_only() {
        let found = |list: &[&str]| {
            let all: Vec<SocketAddr> = list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
            all.into_iter()
        };
        let host = || "h.example.com".to_owned();
        assert_eq!(keep(host(), found(&["10.0.0.1", "8.8.8.8"]), false).unwrap().count(), 1);
        assert!(keep(host(), found(&["10.0.0.1", "::1"]), false).is_err());
        assert_eq!(keep(host(), found(&["127.0.0.1", "8.8.8.8"]), true).unwrap().count(), 1);
    }

    #[test]
    fn patterns_that_mean_everybody_are_refused() {
        for bad in ["", "*", "*.", "*.com", "https://h", "h/p", "*.10.0.0.1", "a.*.example.com", "a b"] {
            assert_eq!(MediaRules::new([bad], None).unwrap_err(), bad);
        }
    }
}
