//! `callvault serve`: who may ask, what comes of bytes that are no request, and stopping it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use callvault_tests::binary::{Running, callvault};
use serde_json::Value;

use crate::refused;

const TOKEN: &str = "planted-0123456789abcdef";
const CHECK: &str = "/genesys/scheduled-jobs/check_recordings";

/// Far more than an answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn serving(folder: &Path, token: Option<&str>) -> (Running, String) {
    let mut serve = callvault(["serve"]).folder(folder);
    if let Some(token) = token {
        serve = serve.env("JOBS_TOKEN", token);
    }
    let running = serve.start();
    let line = running.first_line();
    let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("not the line: {line}"));
    (running, address.to_owned())
}

/// Sends bytes, ends the sending, and answers all that comes back.
fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may close before all of it is sent.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(address: &str, headers: &[&str], body: &[u8]) -> (u16, String, Value) {
    let mut request = format!("POST {CHECK} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    for header in headers {
        request.push_str(&format!("{header}\r\n"));
    }
    request.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len()));
    let answer = raw(address, &[request.as_bytes(), body].concat());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    (status, head.to_owned(), serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

#[test]
fn only_the_token_opens_the_jobs_api() {
    let folder = tempfile::tempdir().unwrap();
    let (running, address) = serving(folder.path(), Some(TOKEN));
    let day = br#"{"recordingDay":"2024-02-29"}"#;
    let right = format!("authorization: Bearer {TOKEN}");
    let scheme = format!("Authorization: bEARER {TOKEN}");
    for header in [&right, &scheme] {
        assert_eq!(post(&address, &[header], day).0, 200, "{header}");
    }
    let longer = format!("{right}0");
    let basic = format!("authorization: Basic {TOKEN}");
    let bare = format!("authorization: {TOKEN}");
    let short = &right[..right.len() - 1];
    for headers in [
        &[][..],
        &["authorization: Bearer"],
        &["authorization: Bearer "],
        &[&longer],
        &[short],
        &[&basic],
        &[&bare],
        &[&right, &right],
    ] {
        let (status, head, problem) = post(&address, headers, day);
        assert_eq!((status, &problem["code"]), (401, &"unauthorized".into()), "{headers:?}");
        assert!(head.contains("www-authenticate: Bearer"), "{head}");
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        assert!(!problem.to_string().contains("planted"), "{problem}");
    }
    running.signal("TERM");
    let output = running.wait_at_most(PATIENCE).expect_code(0);
    assert!(!output.stderr.contains("planted"), "{}", output.stderr);
    // The day is planned, once.
    let status = callvault(["status", "--json"]).folder(folder.path()).run().expect_code(0);
    assert_eq!(status.json()["days"][0]["day"], "2024-02-29");
}

#[test]
fn without_a_token_the_jobs_api_is_off_and_never_open() {
    let folder = tempfile::tempdir().unwrap();
    let (running, address) = serving(folder.path(), None);
    for headers in [&[][..], &["authorization: Bearer"], &["authorization: Bearer "]] {
        let (status, _, problem) = post(&address, headers, br#"{"recordingDay":"2024-02-29"}"#);
        assert_eq!((status, &problem["code"]), (404, &"jobs-api-off".into()));
    }
    running.signal("INT");
    let output = running.wait_at_most(PATIENCE).expect_code(0);
    assert!(output.stderr.contains("JOBS_TOKEN is not set"), "{}", output.stderr);
}

#[test]
fn a_token_that_could_be_guessed_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    for token in ["planted", "planted with blanks in it", "planted-\u{e9}-0123456789"] {
        let output = callvault(["serve"]).folder(folder.path()).env("JOBS_TOKEN", token).run();
        refused(token, &output, 2, &["JOBS_TOKEN", "16 or more"]);
        assert!(!output.stderr.contains("planted"), "{}", output.stderr);
    }
}

#[test]
fn an_address_that_is_taken_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = callvault(["serve", "--listen", &address]).folder(folder.path()).env("JOBS_TOKEN", TOKEN).run();
    refused("taken", &output, 3, &[&address, "--listen"]);
}

/// What is no request, and what is one and should not be: 4xx or a closed connection, and it goes on.
#[test]
fn bytes_that_are_no_request_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, address) = serving(folder.path(), Some(TOKEN));
    let head = format!("POST {CHECK} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n");
    let too_long =
        format!("{head}content-type: application/json\r\ncontent-length: 200000\r\n\r\n{}", " ".repeat(200_000));
    let many = format!("{head}{}\r\n", "x: y\r\n".repeat(500));
    let wide = format!("{head}x: {}\r\n\r\n", "y".repeat(200_000));
    let far = format!("POST /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(200_000));
    let smuggled =
        format!("{head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    let chunks = format!("{head}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n");
    let twice = format!("{head}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}");
    let broken_off = format!("{head}content-type: application/json\r\ncontent-length: 50\r\n\r\n{{");
    let requests: Vec<Vec<u8>> = [
        "",
        "\r\n\r\n",
        "GET",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET http://[ HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
        &too_long,
        &many,
        &wide,
        &far,
        &smuggled,
        &chunks,
        &twice,
        &broken_off,
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([
        vec![0; 5000],
        (0..=255).cycle().take(70_000).collect(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
    ])
    .collect();
    for request in &requests {
        let answer = raw(&address, request);
        let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{shown}\n{answer}");
    }
    let long = raw(&address, too_long.as_bytes());
    assert!(long.starts_with("HTTP/1.1 413") && long.contains("body-too-large"), "{long}");
    assert!(raw(&address, broken_off.as_bytes()).len() < 500);
    assert!(running.is_running());
    let (status, ..) =
        post(&address, &[&format!("authorization: Bearer {TOKEN}")], br#"{"recordingDay":"2024-02-29"}"#);
    assert_eq!(status, 200);
    running.signal("TERM");
    let output = running.wait_at_most(PATIENCE).expect_code(0);
    assert!(!output.stderr.contains("panicked") && !output.stderr.contains("planted"), "{}", output.stderr);
}

/// Whoever opens a connection and says nothing does not keep it from stopping.
#[test]
fn it_stops_with_connections_open() {
    let folder = tempfile::tempdir().unwrap();
    let (running, address) = serving(folder.path(), Some(TOKEN));
    let silent = TcpStream::connect(&address).unwrap();
    let mut kept = TcpStream::connect(&address).unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut first = [0; 12];
    kept.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 404");
    running.signal("TERM");
    running.wait_at_most(PATIENCE).expect_code(0);
    drop((silent, kept));
}
