//! Names that stores accept, and addresses that are asked.

use super::super::reader::Reader;

/// Before every key at most so many bytes: a key of ours has up to 900, and no store takes more than 1,024.
const LONGEST_PREFIX: usize = 120;

/// Bucket and prefix of S3. The name by S3's rules for general purpose buckets; the prefix of characters that need no
/// care.
pub(super) fn bucket(text: &str) -> Result<(String, String), &'static str> {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    let prefix = prefix.trim_end_matches('/');
    let plain = |part: &str| {
        let plain = part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!-_.*'()=+@,".contains(&b));
        !part.is_empty() && part != "." && part != ".." && plain
    };
    if !is_bucket(bucket, b"-.") {
        return Err("s3://BUCKET/PREFIX with a bucket of 3 to 63 lower-case letters, digits, dots and hyphens");
    }
    if !(prefix.is_empty() || prefix.split('/').all(plain)) {
        return Err("s3://BUCKET/PREFIX with a prefix of folders with letters, digits and !-_.*'()=+@,");
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

/// Bucket and prefix of Google Cloud ("Bucket naming guidelines").
pub(super) fn google_bucket(text: &str) -> Result<(String, String), &'static str> {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    let parts = bucket.split('.').all(|part| (1..=63).contains(&part.len()));
    let long = bucket.len() <= if bucket.contains('.') { 222 } else { 63 };
    let shown = bucket.get(..63).unwrap_or(bucket);
    if !(parts && long && is_bucket(shown.trim_end_matches(['.', '-', '_']), b"-_.") && ends_well(bucket)) {
        return Err(
            "gs://BUCKET/PREFIX with a bucket of 3 to 63 lower-case letters, digits, dots, hyphens and underscores",
        );
    }
    if bucket.starts_with("goog") || bucket.contains("google") {
        return Err("gs://BUCKET/PREFIX with a bucket that does not begin with goog or contain google");
    }
    let Some(prefix) = plain_prefix(prefix) else { return Err(prefix_of("gs://BUCKET/PREFIX")) };
    if prefix == ".well-known/acme-challenge" || prefix.starts_with(".well-known/acme-challenge/") {
        return Err("gs://BUCKET/PREFIX with a prefix that is not .well-known/acme-challenge, which Google keeps");
    }
    Ok((bucket.to_owned(), prefix))
}

/// Account, container and prefix of Azure ("Naming and referencing containers, blobs, and metadata"; "Storage account
/// overview").
pub(super) fn azure_container(text: &str) -> Result<(String, String, String), &'static str> {
    let (account, rest) = text.split_once('/').unwrap_or((text, ""));
    let (container, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if !((3..=24).contains(&account.len()) && account.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())) {
        return Err("az://ACCOUNT/CONTAINER/PREFIX with an account of 3 to 24 lower-case letters and digits");
    }
    if !is_bucket(container, b"-") || container.contains("--") {
        return Err(
            "az://ACCOUNT/CONTAINER/PREFIX with a container of 3 to 63 lower-case letters, digits and single hyphens",
        );
    }
    let Some(prefix) = plain_prefix(prefix) else { return Err(prefix_of("az://ACCOUNT/CONTAINER/PREFIX")) };
    Ok((account.to_owned(), container.to_owned(), prefix))
}

fn prefix_of(form: &str) -> &'static str {
    match form {
        "gs://BUCKET/PREFIX" => {
            "gs://BUCKET/PREFIX with a prefix of up to 120 letters, digits and -_.=/ whose folders do not end with a dot"
        }
        _ => {
            "az://ACCOUNT/CONTAINER/PREFIX with a prefix of up to 120 letters, digits and -_.=/ whose folders do not end \
             with a dot"
        }
    }
}

/// Folders of the characters that keys have: neither store encodes them, and Azure takes no folder that ends with a dot.
fn plain_prefix(prefix: &str) -> Option<String> {
    let prefix = prefix.trim_end_matches('/');
    let plain = |part: &str| {
        !part.is_empty()
            && part.len() <= 250
            && !part.ends_with('.')
            && !part.starts_with("..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.=".contains(&b))
    };
    let legal = prefix.is_empty() || (prefix.len() <= LONGEST_PREFIX && prefix.split('/').all(plain));
    legal.then(|| prefix.to_owned())
}

/// What the three stores agree on: 3 to 63 lower-case letters, digits and some marks, none of them at an end or twice
/// where it is a dot, and no IP address.
fn is_bucket(name: &str, marks: &[u8]) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| plain(b) || marks.contains(&b))
        && ends_well(name)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

fn ends_well(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.bytes().next().is_some_and(plain) && name.bytes().last().is_some_and(plain)
}

/// An address without anything behind its host: over https, or on this machine. It is asked with credentials.
pub(super) fn endpoint(read: &mut Reader<'_>, name: &str, expected: &str) -> Option<String> {
    let text = read.text(name)?;
    match url::Url::parse(&text).ok().filter(|url| is_address(url) && (url.scheme() == "https" || is_loopback(url))) {
        Some(_) => Some(text.trim_end_matches('/').to_owned()),
        None => {
            read.fault(name, &text, &format!("{expected} (http for this machine only)"));
            None
        }
    }
}

/// The address of an emulator: on this machine only, with or without `http://`.
pub(super) fn emulator(read: &mut Reader<'_>, name: &str) -> Option<String> {
    let text = read.text(name)?;
    let full = if text.contains("://") { text.clone() } else { format!("http://{text}") };
    match url::Url::parse(&full).ok().filter(|url| is_address(url) && is_loopback(url)) {
        Some(_) => Some(full.trim_end_matches('/').to_owned()),
        None => {
            read.fault(name, &text, "the address of an emulator on this machine, such as http://127.0.0.1:10000");
            None
        }
    }
}

fn is_address(url: &url::Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.path() == "/"
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
