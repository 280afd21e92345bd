//! Orgs that refuse, do not answer, or are not there.

use std::net::TcpListener;

use callvault_simulator::Options;
use callvault_tests::binary::scene::{Scene, quick};
use callvault_tests::binary::tap::Tap;

use crate::refused;

fn plain(conversations: u32, seed: u64) -> Scene {
    Scene::new(Options { plain: true, seed, ..quick(conversations) })
}

#[test]
fn a_refused_sign_in_could_not_go_on() {
    let scene = plain(5, 1);
    let output = scene.export().env("GENESYS_CLIENT_SECRET", "wrong").run();
    refused("wrong secret", &output, 3, &["sign-in", "GENESYS_CLIENT_SECRET"]);
    assert!(!output.stderr.contains("wrong"), "{}", output.stderr);
    let output = scene.export().env("GENESYS_CLIENT_ID", "nobody").run();
    refused("unknown client", &output, 3, &["sign-in"]);
    assert_eq!(scene.requests().api_requests, 0);
    // Nothing is in the way of doing it right.
    scene.export_equals_truth();
}

#[test]
fn an_address_where_nobody_listens_could_not_go_on() {
    let scene = plain(5, 2);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = scene.export().env("GENESYS_URL", format!("http://{closed}")).run();
    refused("nobody listens", &output, 3, &["sign in"]);
    scene.export_equals_truth();
}

#[test]
fn a_name_that_is_none_could_not_go_on() {
    let scene = plain(5, 3);
    let output = scene.export().env("GENESYS_URL", "https://callvault-test.invalid").run();
    refused("no such name", &output, 3, &["sign in"]);
}

#[test]
fn something_else_at_the_address_could_not_go_on() {
    let scene = plain(5, 4);
    let page =
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\nconnection: close\r\n\r\n<html></html>";
    let tap = Tap::answering(scene.simulator().address(), "POST /oauth/token", page);
    let output = scene.export().env("GENESYS_URL", tap.url()).run();
    refused("a web page", &output, 3, &["sign in"]);
    let missing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let tap = Tap::answering(scene.simulator().address(), "POST /oauth/token", missing);
    let output = scene.export().env("GENESYS_URL", tap.url()).run();
    refused("nothing there", &output, 3, &["sign in", "404"]);
}

const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: 109\r\nconnection: close\r\n\r\n\
    {\"message\":\"Unable to perform the requested action. You must have permissions\",\"code\":\"missing.permissions\"}  ";

/// A permission that is missing is named; with it, the next run goes on.
#[test]
fn a_missing_permission_is_named() {
    for (line, permission) in [
        ("POST /api/v2/recording/batchrequests", "recording:recording:view"),
        ("POST /api/v2/analytics/conversations/details/query", "analytics:conversationDetail:view"),
    ] {
        let scene = plain(8, 5);
        let tap = Tap::answering(scene.simulator().address(), line, FORBIDDEN);
        let output = scene.export().env("GENESYS_URL", tap.url()).run();
        refused(line, &output, 3, &[permission]);
        scene.export_equals_truth();
    }
}
