//! What the steps do when nothing fails, and when the stores do for good.

use super::scene::{CLIENT_SECRET, STEPS, Scene};

const VERSION: &str = "a-version-of-a-rotation-00000001";
const LATER: &str = "a-version-of-a-rotation-00000002";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_prefix_of_steps_replayed_changes_nothing_and_old_and_new_tokens_work_meanwhile() {
    let scene = Scene::start().await;
    for prefix in 1..=4 {
        let secret = scene.secret();
        let old = scene.current(&secret);
        scene.gate.harm(None);
        scene.secrets.begin_rotation(&secret, VERSION);
        for step in &STEPS[..prefix] {
            scene.step(&secret, VERSION, step).await.unwrap();
        }
        let state = scene.secrets.state(&secret);
        for _ in 0..3 {
            for step in &STEPS[..prefix] {
                scene.step(&secret, VERSION, step).await.unwrap();
            }
        }
        assert_eq!(scene.secrets.state(&secret), state, "prefix {prefix}");
        let (_, pending) = scene.secrets.staged(&secret, "AWSPENDING").unwrap();
        let pending = serde_json::from_str(&pending.unwrap()).unwrap();
        assert!(scene.is_accepted(&old).await && scene.is_accepted(&pending).await, "prefix {prefix}");
        scene.rotate(&secret, VERSION).await.unwrap();
        assert_eq!(scene.exchanges(), 1, "prefix {prefix}");
        scene.assert_good(&secret, "in the end").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_the_secret_refuses_is_rescued_and_taken_from_there() {
    let scene = Scene::start().await;
    let secret = scene.secret();
    let planted = scene.tokens(&secret);
    scene.gate.harm(None);
    scene.secrets.refuse(&secret, true);
    assert_eq!(scene.rotate(&secret, VERSION).await, Err("pair-in-rescue".to_owned()));
    scene.secrets.refuse(&secret, false);
    // Also by another version, in another process.
    scene.renew();
    scene.rotate(&secret, LATER).await.unwrap();
    assert_eq!(scene.exchanges(), 1);
    scene.assert_good(&secret, "taken from the rescue secret").await;
    let rescue = scene.secrets.staged(&format!("{secret}-rescue"), "AWSCURRENT").unwrap();
    assert_eq!(rescue.1.as_deref(), Some("{}"));
    let log = scene.log();
    assert!(log.contains("\"PairsNotSaved\":1") && log.contains("\"TokenSecondsLeft\":17"), "{log}");
    scene.assert_silent(&planted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_rescue_secret_one_is_made() {
    let scene = Scene::start().await;
    let name = callvault_tests::stand_ins::moto::unique("alone");
    scene.secrets.create(&name, &scene.document(), true);
    scene.secrets.refuse(&name, true);
    assert_eq!(scene.rotate(&name, VERSION).await, Err("pair-in-rescue".to_owned()));
    scene.secrets.refuse(&name, false);
    scene.rotate(&name, VERSION).await.unwrap();
    scene.assert_good(&name, "rescued").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_failed_later_hands_its_pair_to_the_next() {
    let scene = Scene::start().await;
    let secret = scene.secret();
    scene.gate.harm(None);
    scene.secrets.begin_rotation(&secret, VERSION);
    scene.step(&secret, VERSION, STEPS[0]).await.unwrap();
    scene.secrets.begin_rotation(&secret, LATER);
    assert_eq!(scene.step(&secret, LATER, STEPS[0]).await.unwrap(), "adopted");
    for step in &STEPS[1..] {
        assert_eq!(scene.step(&secret, VERSION, step).await, Err("unknown-version".to_owned()));
    }
    scene.rotate(&secret, LATER).await.unwrap();
    assert_eq!(scene.exchanges(), 1);
    scene.assert_good(&secret, "handed on").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_lost_sign_in_a_person_signs_in_and_it_goes_on() {
    let scene = Scene::start().await;
    let secret = scene.secret();
    let spent = scene.current(&secret)["refreshToken"].clone();
    // Somebody else has spent it.
    let form = [("grant_type", "refresh_token"), ("refresh_token", spent.as_str().unwrap())];
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/oauth/token", scene.simulator.url());
    http.post(url)
        .basic_auth("demo", Some(CLIENT_SECRET))
        .form(&form)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    assert_eq!(scene.rotate_until_done(&secret).await, Err("sign-in-needed".to_owned()));
    let log = scene.log();
    assert!(log.contains("run `callvault login --secret ID`") && log.contains("\"SignInsNeeded\":1"), "{log}");
    scene.secrets.put_current(&secret, "a-version-of-somebody-who-signed-in", &scene.document());
    scene.rotate(&secret, VERSION).await.unwrap();
    scene.assert_good(&secret, "signed in").await;
}

/// After each step but the last somebody signs in: as `callvault login` does it, or with a tool that knows nothing of
/// rotations. Secrets Manager goes on with the same version, and then with a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_sign_in_is_not_undone_by_a_rotation_that_is_half_done() {
    let scene = Scene::start().await;
    for (steps, ours) in (0..4).flat_map(|steps| [true, false].map(|ours| (steps, ours))) {
        let words = format!("after {steps} steps, by callvault login: {ours}");
        let secret = scene.secret();
        scene.secrets.begin_rotation(&secret, VERSION);
        for step in &STEPS[..steps] {
            scene.step(&secret, VERSION, step).await.unwrap();
        }
        let login = scene.document();
        if ours {
            scene.login(&secret, &login).await;
        } else {
            scene.secrets.put_current(&secret, "a-version-of-somebody-who-signed-in", &login);
        }
        let login: serde_json::Value = serde_json::from_str(&login).unwrap();
        // From where it stopped, and then from the beginning.
        let mut ended = Vec::new();
        for step in STEPS[steps..].iter().chain(&STEPS) {
            ended.extend(scene.step(&secret, VERSION, step).await.err());
        }
        if steps == 0 && !ours {
            // The rotation begins with the new sign-in.
            assert_eq!(ended, Vec::<String>::new(), "{words}");
        } else {
            assert_eq!(scene.current(&secret), login, "{words}");
            let first = if ours { "unknown-version" } else { "signed-in-since" };
            // setSecret has nothing to look at.
            assert_eq!(ended[0], first, "{words}: {ended:?}");
            assert!(ended.len() >= 5, "nothing goes on: {words}: {ended:?}");
            assert!(scene.secrets.staged(&secret, "AWSPENDING").is_none(), "AWS can begin another one: {words}");
            scene.gate.harm(None);
            scene.rotate(&secret, LATER).await.unwrap();
            assert_eq!(scene.exchanges(), 1, "{words}");
        }
        assert!(!scene.is_unspent(&login), "it goes on from the new sign-in: {words}");
        scene.assert_good(&secret, &words).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_not_ready_says_what_is_missing() {
    let scene = Scene::start().await;
    let name = callvault_tests::stand_ins::moto::unique("empty");
    scene.secrets.create(&name, "{}", true);
    scene.secrets.begin_rotation(&name, VERSION);
    assert_eq!(scene.step(&name, VERSION, "create_secret").await, Err("secret-unreadable".to_owned()));
    assert_eq!(scene.step(&name, VERSION, "test_secret").await, Err("pending-has-no-value".to_owned()));
    assert_eq!(scene.step(&name, VERSION, "finish_secret").await, Err("pending-has-no-value".to_owned()));
    assert_eq!(scene.step(&name, LATER, "createSecret").await, Err("unknown-version".to_owned()));
    assert_eq!(scene.step("nothing", VERSION, "createSecret").await, Err("secret-missing".to_owned()));
    scene.secrets.rotate(&name, false);
    assert_eq!(scene.step(&name, VERSION, "createSecret").await, Err("rotation-not-enabled".to_owned()));
    assert_eq!(scene.exchanges(), 0);
}
