//! `callvault run`: the days of a simulated org by the schedule, through the real program, until the archive equals the truth.

use std::time::{Duration, Instant};

use callvault_simulator::{Options, Profile};
use callvault_tests::binary::Running;
use callvault_tests::binary::scene::{Scene, days_ago, quick};
use serde_json::Value;

/// An org of the last so many days, yesterday the last of them.
fn scene(days: u32, options: Options) -> Scene {
    Scene::new(Options { first_day: days_ago(i64::from(days)), days, ..options })
}

/// The scene's days, as `status` shows them; none before there is a ledger.
fn days(scene: &Scene) -> Vec<Value> {
    let status = scene.command(&["status", "--json"]).run();
    let days = (status.code == Some(0)).then(|| status.json()["days"].clone());
    days.as_ref().and_then(Value::as_array).cloned().unwrap_or_default()
}

fn are_closed(scene: &Scene, days: &[Value]) -> bool {
    days.iter().filter(|day| day["state"] == "closed").count() == scene.days().len()
}

fn stored(days: &[Value]) -> u64 {
    days.iter().filter_map(|day| day["stored"].as_u64()).sum()
}

/// Waits until the days are as wanted. Who waits too long fails.
fn wait_until(scene: &Scene, wanted: impl Fn(&[Value]) -> bool) {
    let begun = Instant::now();
    loop {
        let days = days(scene);
        if wanted(&days) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(400), "it does not come about: {days:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until every day is closed, has it stopped, and compares.
fn ends_well(scene: &Scene, run: Running) {
    wait_until(scene, |days| are_closed(scene, days));
    run.signal("TERM");
    run.wait().expect_code(0);
    scene.equals_truth();
}

#[test]
fn every_day_since_the_last_closed_one_though_it_is_killed() {
    let scene = scene(4, Options { faults: Profile::Usual, seed: 81, ..quick(40) });
    let first = scene.days()[0].to_string();
    let exported = scene.command(&["export", "--from", &first, "--to", &first, "--json"]).run();
    assert!(exported.code.is_some_and(|code| code < 2), "{exported:?}");
    for kill in 0..3 {
        let before = stored(&days(&scene));
        let run = scene.command(&["run"]).start();
        assert!(run.first_line().contains("exporting days"));
        // Each does something, and is killed in the middle of it.
        wait_until(&scene, |days| stored(days) > before || are_closed(&scene, days));
        run.kill();
        assert!(kill > 0 || !are_closed(&scene, &days(&scene)), "it was over before it was killed");
    }
    ends_well(&scene, scene.command(&["run"]).start());
}

#[test]
fn told_to_stop_it_stops_and_the_next_goes_on() {
    let scene = scene(1, Options { seed: 82, ..quick(120) });
    let run = scene.command(&["run"]).start();
    run.first_line();
    run.signal("INT");
    run.wait().expect_code(0);
    assert!(!are_closed(&scene, &days(&scene)), "it was over before it was told to stop");
    ends_well(&scene, scene.command(&["run"]).start());
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
    ends_well(&scene, serve);
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
