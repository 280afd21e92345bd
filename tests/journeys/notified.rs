//! People are told of closed days, by the real program.

use callvault_simulator::{Options, Profile};
use callvault_tests::binary::scene::{Scene, quick};
use callvault_tests::planted::{files_hold_no_secret, holds_no_secret};
use callvault_tests::stand_ins::webhook::{Received, WebhookServer};
use serde_json::{Value, json};

const SECRET: &str = "planted-T0ken/1234567890";

fn scene(options: Options, webhook: &WebhookServer) -> Scene {
    Scene::new(options)
        .with("NOTIFY_URL", &webhook.url(SECRET))
        .with("EMAILS", "quality@example.com, ops@example.pe")
        .with("EMAIL_MESSAGE", "Proceso terminado: ")
}

/// Keys of the messages that came, in order.
fn keys(received: &[Received]) -> Vec<String> {
    let mut keys: Vec<String> =
        received.iter().map(|one| one.header("idempotency-key").unwrap_or_default().to_owned()).collect();
    keys.sort();
    keys
}

#[test]
fn each_day_is_told_of_in_the_shape_that_receivers_know() {
    let webhook = WebhookServer::start(&[]);
    let scene = scene(Options { days: 2, seed: 61, ..quick(12) }, &webhook);
    let exported = scene.export_equals_truth();
    let received = webhook.received();
    let days: Vec<String> = scene.days().iter().map(ToString::to_string).collect();
    let expected: Vec<String> = days.iter().map(|day| format!("callvault/prod/{day}/1")).collect();
    assert_eq!(keys(&received), expected);
    for one in &received {
        let day = one.header("idempotency-key").unwrap().split('/').nth(2).unwrap();
        let title = format!("Transcripcion y Analisis de AUDIOS-SAC [{day}]");
        let to = json!([{"name": "", "email": "quality@example.com"}, {"name": "", "email": "ops@example.pe"}]);
        let body = json!({
            "title": title, "subject": title, "priority": "sendinblue",
            "htmlContent": format!("Proceso terminado: {day}"), "to": to,
        });
        assert_eq!(one.body, body);
        assert!(one.request.starts_with("POST /hooks/") && one.header("content-type") == Some("application/json"));
    }
    // Once more: nothing is new, so nobody is told.
    let again = scene.export_equals_truth();
    assert_eq!(webhook.received().len(), 2);
    let status = scene.status();
    assert_eq!(
        status["days"][0]["notifications"],
        json!([{"generation": 1, "state": "sent", "told": {"webhook": "done"}, "tries": 1}])
    );
    for output in [exported, again] {
        holds_no_secret("stderr", output.stderr.as_bytes(), &[SECRET.to_owned()]);
    }
    assert!(files_hold_no_secret(scene.folder(), &[SECRET.to_owned()]) > 10);
}

#[test]
fn what_is_refused_is_told_by_the_next_run_and_fails_no_day() {
    // A redirect, an error, and no answer at all: none of them is a success, and none is followed.
    let webhook = WebhookServer::start(&[302, 500, 0]);
    let scene = scene(Options { seed: 62, ..quick(4) }, &webhook);
    let day = scene.days()[0].to_string();
    let exported = scene.export().args(["--log", "trace"]).run();
    assert!(exported.code.is_some_and(|code| code < 2), "{exported:?}");
    holds_no_secret("stderr", exported.stderr.as_bytes(), &[SECRET.to_owned()]);
    let notification = |status: &Value| status["days"][0]["notifications"][0].clone();
    let due = notification(&scene.status());
    assert_eq!((&due["state"], &due["detail"]), (&json!("due"), &json!("the webhook answered with status 302")));
    let shown = scene.command(&["status"]).run().expect_code(0);
    assert!(shown.stdout.contains("notification of generation 1 due"), "{}", shown.stdout);
    // Somebody goes on until it is through: seconds, for the pauses grow. It tells of the days since then, too.
    let run = scene.command(&["run"]).start();
    run.first_line();
    let of_day = || {
        let status = scene.status();
        let days = status["days"].as_array().unwrap().clone();
        days.into_iter().find(|one| one["day"] == day.as_str()).unwrap()["notifications"][0]["state"].clone()
    };
    while of_day() != "sent" {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    run.signal("TERM");
    run.wait().expect_code(0);
    let received = webhook.received();
    assert!(received.iter().all(|one| one.request.starts_with("POST /hooks/")), "{received:?}");
    let mut told = keys(&received);
    let tries = told.len();
    told.dedup();
    assert!(told.contains(&format!("callvault/prod/{day}/1")) && tries > told.len(), "{tries} for {told:?}");
}

#[test]
fn however_often_it_is_killed_each_day_is_told_of() {
    let webhook = WebhookServer::start(&[]);
    let scene = scene(Options { days: 3, faults: Profile::Usual, seed: 63, ..quick(20) }, &webhook);
    let mut kills = 0;
    for stored in [8, 20, 35] {
        let mut run = scene.export().start();
        while scene.requests().media_requests < stored && run.is_running() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        kills += usize::from(run.kill().signal.is_some());
    }
    assert!(kills > 0, "nothing was killed");
    scene.export_equals_truth();
    let mut told = keys(&webhook.received());
    told.dedup();
    let expected: Vec<String> = scene.days().iter().map(|day| format!("callvault/prod/{day}/1")).collect();
    assert_eq!(told, expected);
}
