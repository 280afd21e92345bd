//! The source is treated politely: by its own counts.

use callvault_simulator::{Fault, FaultName, Options, Requests};
use callvault_tests::binary::scene::{Scene, quick};

fn is_polite(requests: &Requests, org: &str) {
    assert!(requests.worst_minute <= u64::from(requests.allowed), "{org}: {requests:?}");
    assert_eq!(requests.refused_429, 0, "{org}: {requests:?}");
    assert!(requests.closest_polls_ms.is_none_or(|gap| gap >= 1_000), "{org}: {requests:?}");
    assert_eq!((requests.media_with_credentials, requests.media_too_early), (0, 0), "{org}");
    assert!(requests.max_batch_items <= 100, "{org}: {requests:?}");
    assert!(requests.operations["token"] <= 2, "{org}: {requests:?}");
}

#[test]
fn metadata_of_every_conversation_stays_within_the_published_limit() {
    let scene = Scene::new(Options { rate_per_minute: 300, seed: 51, ..quick(330) });
    scene.export_equals_truth();
    is_polite(&scene.requests(), "300 a minute, full");
}

#[test]
fn by_analytics_it_asks_little() {
    let scene = Scene::new(Options { rate_per_minute: 300, seed: 52, ..quick(250) }).with("METADATA", "analytics");
    let expected = scene.expected().by_analytics();
    scene.export().run().expect_code(expected.exit_code());
    scene.equals(&expected);
    let requests = scene.requests();
    is_polite(&requests, "300 a minute, analytics");
    assert!(requests.api_requests < 125, "more than every second conversation was asked about: {requests:?}");
}

#[test]
fn a_smaller_limit_is_learnt_from_the_headers() {
    let scene = Scene::new(Options { rate_per_minute: 120, seed: 53, ..quick(140) });
    scene.export_equals_truth();
    is_polite(&scene.requests(), "120 a minute");
}

#[test]
fn media_that_ask_for_a_pause_get_it() {
    let scene = Scene::new(Options { seed: 54, ..quick(40) });
    scene.simulator().set_faults(vec![Fault::new(FaultName::MediaBusy).probability(0.2)]);
    scene.export_equals_truth();
    let requests = scene.requests();
    assert!(requests.faults["media-busy"] > 0, "{requests:?}");
    is_polite(&requests, "busy media");
}
