//! A day, driven by timers and stream events, equals the truth: undisturbed, by two instances of everything, killed in
//! mid-invocation, with every stream event twice or not at all.

use std::time::Duration;

use callvault_simulator::{Options, Profile};
use callvault_tests::binary::scene::quick;
use callvault_tests::cloud::{Cloud, Deliveries, Drive, Driven};

async fn a_day(seed: u64, drive: Drive) -> (Cloud, Driven) {
    let cloud = Cloud::start(Options { faults: Profile::Usual, seed, ..quick(150) }).await;
    let driven = cloud.run_until_closed(drive).await;
    cloud.equals_truth().await;
    let closest = cloud.requests().closest_polls_ms;
    assert!(closest.is_none_or(|ms| ms >= 1000), "reads of one job keep a second apart, whoever reads it: {closest:?}");
    (cloud, driven)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_instance_of_each_and_every_stream_event_once() {
    let (cloud, _) = a_day(301, Drive::default()).await;
    assert_eq!(cloud.requests().media_with_credentials, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_of_each_and_every_stream_event_twice() {
    a_day(302, Drive { instances: 2, stream: Deliveries::Twice, ..Drive::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_stream_event() {
    a_day(303, Drive { stream: Deliveries::Never, ..Drive::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_mid_invocation_again_and_again() {
    // What a killed instance held is due again when its lease of five minutes ends.
    let patience = Duration::from_secs(1100);
    let (_, driven) = a_day(304, Drive { instances: 2, kills: 15, patience, ..Drive::default() }).await;
    assert!(driven.cut_off >= 5, "too few were killed at work for this to say anything: {driven:?}");
}
