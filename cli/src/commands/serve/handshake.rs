//! Whether a request opens a websocket: who may, from where, and whether it is one at all. Nothing is opened here.

use callvault_calls::Problem;
use callvault_calls::gate::Gate;
use hyper::header::{
    ALLOW, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The version of the protocol that there is (RFC 6455, section 4.1).
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// The headers of the answer that opens it.
///
/// # Errors
/// [`Problem`]: 401 without the token, 403 from a page of another server, 405 and 426 for what opens no websocket.
pub(super) fn accept(head: &Parts, gate: &Gate) -> Result<[(HeaderName, HeaderValue); 3], Problem> {
    if !gate.is_opened_by_query(head.uri.query()) {
        let detail = "ask for /ws?token=TOKEN, with the value of CALLS_TOKEN";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail));
    }
    if !is_of_our_page(&head.headers) {
        let detail = "only this server's own page may open it in a browser: a proxy must pass the header `Host` on";
        return Err(Problem::new(StatusCode::FORBIDDEN, "origin-refused", detail));
    }
    if head.method != Method::GET {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "only GET is allowed here");
        return Err(problem.with_header(ALLOW, HeaderValue::from_static("GET")));
    }
    let headers = &head.headers;
    let is_one = head.version >= Version::HTTP_11 && lists(headers, UPGRADE, "websocket");
    if !is_one || !lists(headers, CONNECTION, "upgrade") {
        let problem =
            Problem::new(StatusCode::UPGRADE_REQUIRED, "not-a-websocket", "this is a websocket: open it as one");
        return Err(problem.with_header(UPGRADE, HeaderValue::from_static("websocket")));
    }
    if headers.get(SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        let detail = "only version 13 of the websocket protocol is spoken here";
        let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket-version", detail);
        return Err(problem.with_header(SEC_WEBSOCKET_VERSION, VERSION));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let accept =
        key.and_then(|key| HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()).ok_or_else(|| {
            Problem::new(StatusCode::BAD_REQUEST, "websocket-key", "the header `Sec-WebSocket-Key` is missing or wrong")
        })?;
    Ok([
        (UPGRADE, HeaderValue::from_static("websocket")),
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ])
}

/// Whether no browser opens it, or one for a page of this very server: a page of somebody else's must not use a token that it
/// came by, nor a name that was made to point here.
fn is_of_our_page(headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else { return headers.get(ORIGIN).is_none() };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin: Option<Uri> = origin.to_str().ok().and_then(|origin| origin.parse().ok());
    match (origin.as_ref().and_then(Uri::authority), host) {
        (Some(authority), Some(host)) => authority.as_str().eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// Whether a header lists a word.
fn lists(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    const TOKEN: &str = "planted-0123456789abcdef";

    fn asked(change: impl FnOnce(&mut Parts)) -> Result<[(HeaderName, HeaderValue); 3], (u16, &'static str)> {
        let request = Request::builder()
            .uri(format!("/ws?token={TOKEN}"))
            .header(HOST, "127.0.0.1:8911")
            .header(UPGRADE, "WebSocket")
            .header(CONNECTION, "keep-alive, Upgrade")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        change(&mut head);
        accept(&head, &Gate::new(TOKEN.into())).map_err(|problem| (problem.status.as_u16(), problem.code))
    }

    #[test]
    fn a_websocket_is_accepted_as_the_protocol_wants_it() {
        let headers = asked(|_| {}).unwrap();
        // RFC 6455, section 1.3.
        assert_eq!(headers[2].1, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for origin in ["http://127.0.0.1:8911", "https://127.0.0.1:8911"] {
            assert!(asked(|head| drop(head.headers.insert(ORIGIN, HeaderValue::from_static(origin)))).is_ok());
        }
    }

    #[test]
    fn pages_of_others_are_refused() {
        for origin in [
            "http://evil.example",
            "http://127.0.0.1",
            "http://127.0.0.1:89",
            "null",
            "",
            "file://",
            "127.0.0.1:8911/x",
        ] {
            let answer = asked(|head| drop(head.headers.insert(ORIGIN, HeaderValue::from_static(origin))));
            assert_eq!(answer.unwrap_err(), (403, "origin-refused"), "{origin}");
        }
        // A name that was made to point here comes with itself as the host: only the token keeps it out.
        let rebound = asked(|head| {
            head.uri = "/ws".parse().unwrap();
            head.headers.insert(HOST, HeaderValue::from_static("evil.example"));
            head.headers.insert(ORIGIN, HeaderValue::from_static("http://evil.example"));
        });
        assert_eq!(rebound.unwrap_err(), (401, "unauthorized"));
        let twice = asked(|head| {
            head.headers.append(ORIGIN, HeaderValue::from_static("http://127.0.0.1:8911"));
            head.headers.append(ORIGIN, HeaderValue::from_static("http://evil.example"));
        });
        assert_eq!(twice.unwrap_err(), (403, "origin-refused"));
    }

    #[test]
    fn what_opens_no_websocket_says_why() {
        let without = |name: HeaderName| asked(move |head| drop(head.headers.remove(name))).unwrap_err();
        assert_eq!(without(UPGRADE), (426, "not-a-websocket"));
        assert_eq!(without(CONNECTION), (426, "not-a-websocket"));
        assert_eq!(without(SEC_WEBSOCKET_VERSION), (426, "websocket-version"));
        assert_eq!(without(SEC_WEBSOCKET_KEY), (400, "websocket-key"));
        assert_eq!(asked(|head| head.method = Method::POST).unwrap_err(), (405, "method-not-allowed"));
        assert_eq!(asked(|head| head.version = Version::HTTP_10).unwrap_err(), (426, "not-a-websocket"));
        for path in ["/ws", "/ws?token=", "/ws?token=planted", "/ws?Token=planted-0123456789abcdef"] {
            let wrong = asked(|head| head.uri = path.parse().unwrap());
            assert_eq!(wrong.unwrap_err(), (401, "unauthorized"), "{path}");
        }
    }
}
