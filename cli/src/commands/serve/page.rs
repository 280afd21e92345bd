//! The live page: three files of `web/`, as they were when the program was built.
//!
//! They hold no secret: the page asks its user for the token. Must never answer anything that was not there at build time, and never
//! without the policy that keeps the page from running or loading anything else.

use bytes::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use callvault_calls::Problem;

/// A file of the page.
pub(super) struct File {
    path: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

const FILES: [File; 3] = [
    File { path: "/", content_type: "text/html; charset=utf-8", content: include_bytes!("../../../../web/index.html") },
    File {
        path: "/live.css",
        content_type: "text/css; charset=utf-8",
        content: include_bytes!("../../../../web/live.css"),
    },
    File {
        path: "/live.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!("../../../../web/live.js"),
    },
];

/// The file of a path.
pub(super) fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path || (file.path == "/" && path == "/index.html"))
}

impl File {
    /// Answers a request for it.
    pub(super) fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let (status, code) = (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed");
            let problem = Problem::new(status, code, "only GET and HEAD are allowed here");
            return problem.with_header(ALLOW, HeaderValue::from_static("GET, HEAD")).response();
        }
        let tag = self.tag();
        let known = request.headers().get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let is_known = known.is_some_and(|tags| tags.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
        // The body of an answer to HEAD is left out by hyper.
        let mut response = Response::new(match is_known {
            true => Bytes::new(),
            false => Bytes::from_static(self.content),
        });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        for (name, value) in [(ETAG, tag), (CONTENT_SECURITY_POLICY, policy(request))] {
            // Made of characters that can stand in a header only.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        for (name, value) in FIXED {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// Changes with the content.
    fn tag(&self) -> String {
        let digest = Sha256::digest(self.content);
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("\"{hex}\"")
    }
}

/// What every file is answered with. Asked again each time, so that an update of the program is an update of the page.
const FIXED: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-cache"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Own scripts, own styles, own websocket, nothing else. Where the browser knows `'self'` to be http only, the websocket's address is
/// named too.
fn policy(request: &Request<Bytes>) -> String {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let legal = |host: &&str| {
        let sign = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-' | b'[' | b']');
        !host.is_empty() && host.len() <= 255 && host.bytes().all(sign)
    };
    let socket = host.filter(legal).map(|host| format!(" ws://{host} wss://{host}")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'{socket}; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, header: Option<(HeaderName, &str)>) -> Response<Bytes> {
        let mut request = Request::builder().uri(path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        file(path).unwrap().answer(&request.body(Bytes::new()).unwrap())
    }

    #[test]
    fn every_file_comes_with_the_policy_and_is_not_sent_twice() {
        for path in ["/", "/index.html", "/live.css", "/live.js"] {
            let first = get(path, Some((HOST, "calls.example.com:8911")));
            assert_eq!(first.status(), StatusCode::OK);
            assert!(!first.body().is_empty());
            let policy = first.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
            assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "), "{policy}");
            assert!(policy.contains("connect-src 'self' ws://calls.example.com:8911 wss://calls.example.com:8911;"));
            assert!(!policy.contains("unsafe"), "{policy}");
            let tag = first.headers()[ETAG].to_str().unwrap().to_owned();
            for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
                let again = get(path, Some((IF_NONE_MATCH, &known)));
                assert_eq!((again.status(), again.body().len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
                assert!(again.headers().contains_key(CONTENT_SECURITY_POLICY));
            }
            assert_eq!(get(path, Some((IF_NONE_MATCH, "\"x\""))).status(), StatusCode::OK);
        }
        assert!(file("/live.html").is_none() && file("").is_none() && file("/../Cargo.toml").is_none());
    }

    #[test]
    fn a_host_that_is_none_adds_nothing_to_the_policy() {
        for host in ["x; script-src *", "a b", "", "x,y", "x'y"] {
            let policy = get("/", Some((HOST, host))).headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
            assert!(policy.contains("connect-src 'self';"), "{host}: {policy}");
        }
    }
}
