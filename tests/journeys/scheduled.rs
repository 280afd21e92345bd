//! `callvault run`: the days of a simulated org by the schedule, through the real program, until the archive equals the truth.

use std::time::{Duration, Instant};

use callvault_simulator::{Options, Profile};
use callvault_tests::binary::scene::{Scene, days_ago, quick};
use serde_json::Value;

/// An org of the last so many days, yesterday the last of them.
fn scene(days: u32, options: Options) -> Scene {
    Scene::new(Options { first_day: days_ago(i64::from(days)), days, ..options })
}

/// Waits until every one of the scene's days is closed.
fn wait_until_closed(scene: &Scene) {
    let begun = Instant::now();
    loop {
        let status = scene.command(&["status", "--json"]).run();
        let days = if status.code == Some(0) { status.json()["days"].clone() } else { Value::Null };
        let closed = days.as_array().into_iter().flatten().filter(|day| day["state"] == "closed").count();
        if closed == scene.days().len() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(400), "not closed: {days}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn every_day_since_the_last_closed_one_though_it_is_killed() {
    let scene = scene(4, Options { faults: Profile::Usual, seed: 81, ..quick(40) });
    let first = scene.days()[0].to_string();
    let exported = scene.command(&["export", "--from", &first, "--to", &first, "--json"]).run();
    assert!(exported.code.is_some_and(|code| code < 2), "{exported:?}");
    for _ in 0..3 {
        let run = scene.command(&["run"]).start();
        assert!(run.first_line().contains("exporting days"));
        std::thread::sleep(Duration::from_millis(1_500));
        run.kill();
    }
    let run = scene.command(&["run"]).start();
    wait_until_closed(&scene);
    run.signal("TERM");
    run.wait().expect_code(0);
    scene.equals_truth();
}

#[test]
fn told_to_stop_it_stops_at_once_and_the_next_goes_on() {
    let scene = scene(1, Options { seed: 82, ..quick(120) });
    let run = scene.command(&["run"]).start();
    run.first_line();
    run.signal("INT");
    let begun = Instant::now();
    run.wait().expect_code(0);
    assert!(begun.elapsed() < Duration::from_secs(25), "it is given half a minute, and needs none of it");
    let run = scene.command(&["run"]).start();
    wait_until_closed(&scene);
    run.signal("TERM");
    run.wait().expect_code(0);
    scene.equals_truth();
}

#[test]
fn what_the_jobs_api_plans_is_exported_beside_it() {
    let token = "planted-0123456789abcdef";
    let scene = scene(1, Options { seed: 83, ..quick(30) });
    let serve = scene.command(&["serve"]).env("JOBS_TOKEN", token).start();
    let url = serve.first_line().trim_start_matches("listening on ").to_owned();
    let day = scene.days()[0];
    let window = serde_json::json!({
        "startTime": format!("{day}T00:00:00Z"), "endTime": format!("{}T00:00:00Z", day.tomorrow().unwrap()),
    });
    let asked = scene.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let post = client.post(format!("{url}/genesys/scheduled-jobs/download_recordings")).bearer_auth(token);
        post.header("content-type", "application/json").body(window.to_string()).send().await.unwrap().status()
    });
    assert_eq!(asked.as_u16(), 202);
    wait_until_closed(&scene);
    serve.signal("TERM");
    serve.wait().expect_code(0);
    scene.equals_truth();
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let scene = scene(1, quick(1));
    let run = || scene.command(&["run"]);
    let nothing = run().without("GENESYS_CLIENT_ID").without("GENESYS_CLIENT_SECRET").run().expect_code(2);
    assert!(nothing.stderr.contains("nothing to do") && nothing.stderr.contains("VOICEMAIL_QUEUES"), "{nothing:?}");
    let half = run().without("GENESYS_CLIENT_SECRET").run().expect_code(2);
    assert!(half.stderr.contains("GENESYS_CLIENT_SECRET"), "{half:?}");
    let refused = run().env("GENESYS_CLIENT_SECRET", "wrong").run().expect_code(3);
    assert!(refused.stderr.contains("sign"), "{refused:?}");
    let mailboxes = run().env("VOICEMAIL_QUEUES", "a").run().expect_code(2);
    assert!(mailboxes.stderr.contains("VOICEMAIL_SECRET_ID"), "{mailboxes:?}");
}
