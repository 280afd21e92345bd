//! No secret in what the functions write or answer, at the most talkative level, when everything goes wrong.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use callvault_simulator::{Options, Profile};
use callvault_tests::binary::scene::quick;
use callvault_tests::binary::tap::Tap;
use callvault_tests::cloud::{Cloud, Deliveries, Drive, FUNCTIONS, timer};
use callvault_tests::planted::{ID, SECRET, files_hold_no_secret, holds_no_secret};

/// The functions that talk to Genesys: all but the last.
const WITH_SOURCE: usize = 4;

/// What signs the functions' requests to AWS.
const AWS_SECRET: &str = "planted-Aws-Secret-Access-Key-23";

/// A cloud at `LOG_LEVEL=debug`, with planted secrets, and the tap on its line to the org.
async fn talkative(options: Options) -> (Cloud, Tap) {
    let options = Options { client_id: ID.into(), client_secret: SECRET.into(), ..options };
    let cloud = Cloud::start(options).await;
    let tap = Tap::on(cloud.simulator().address());
    let cloud = cloud.with("GENESYS_URL", &tap.url()).with("LOG_LEVEL", "debug");
    let cloud = cloud.with("AWS_ACCESS_KEY_ID", "planted-key-id").with("AWS_SECRET_ACCESS_KEY", AWS_SECRET);
    (cloud.with("GENESYS_CLIENT_ID", ID).with("GENESYS_CLIENT_SECRET", SECRET), tap)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_of_a_day_on_which_everything_goes_wrong() {
    let (cloud, tap) = talkative(Options { faults: Profile::Hostile, seed: 311, ..quick(60) }).await;
    let enough = async {
        // Enough to have gone wrong in every way; what is put off again and again would take minutes more.
        while cloud.requests().faults.values().sum::<u64>() < 80 {
            pause().await;
        }
        cloud.simulator().set_profile(Profile::None);
    };
    let drive = Drive { instances: 2, stream: Deliveries::Twice, ..Drive::default() };
    futures_util::future::join(cloud.run_until_closed(drive), enough).await;
    cloud.equals_truth().await;
    let mut secrets = tap.secrets();
    assert!(secrets.len() > 20, "the tap heard {} secrets", secrets.len());
    secrets.push(AWS_SECRET.to_owned());
    // The folder has the logs of all instances, and a copy of the bucket.
    let looked_at = files_hold_no_secret(cloud.folder(), &secrets);
    assert!(looked_at > 2 * FUNCTIONS.len() + 20, "only {looked_at} files were looked at");
    assert!(log_of_all(&cloud).contains("\"DEBUG\""), "the logs are not talkative");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_when_the_sign_in_is_refused() {
    let (cloud, _tap) = talkative(Options { faults: Profile::None, seed: 312, ..quick(5) }).await;
    let wrong = "wrong-Secret-1234567890";
    let cloud = cloud.with("GENESYS_CLIENT_SECRET", wrong);
    let secrets = [wrong.to_owned(), STANDARD.encode(format!("{ID}:{wrong}")), AWS_SECRET.to_owned()];
    // Only a day that is due makes the first one sign in.
    let day = cloud.days()[0].to_string();
    let event = serde_json::json!({ "from": day, "to": day });
    let answer = refused(&cloud, FUNCTIONS[0], &event, &secrets).await;
    assert_eq!(answer.as_deref(), Some("sign-in-refused"));
    for name in &FUNCTIONS[1..WITH_SOURCE] {
        refused(&cloud, name, &timer(), &secrets).await;
    }
    assert!(log_of_all(&cloud).contains("sign-in"), "{}", cloud.logs());
    files_hold_no_secret(cloud.folder(), &secrets);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_when_their_secret_cannot_be_used() {
    for (content, missing) in [
        (format!(r#"{{"clientId": "{ID}", "clientSecret": "{SECRET}""#), "no JSON object"),
        (format!(r#"{{"clientId": "{ID}", "secret": "{SECRET}"}}"#), "no clientSecret"),
        (format!(r#"{{"clientSecret": "{SECRET}", "clientId": 7}}"#), "no clientId"),
    ] {
        let (cloud, _tap) = talkative(Options { faults: Profile::None, seed: 313, ..quick(5) }).await;
        let secret = callvault_tests::stand_ins::moto::unique("planted");
        let client = aws_sdk_secretsmanager::Client::new(cloud.sdk());
        client.create_secret().name(&secret).secret_string(content).send().await.unwrap();
        let cloud = cloud.with("GENESYS_CLIENT_ID", "").with("GENESYS_CLIENT_SECRET", "");
        let cloud = cloud.with("GENESYS_SECRET_ID", &secret);
        let secrets = [ID.to_owned(), AWS_SECRET.to_owned()];
        for name in &FUNCTIONS[..WITH_SOURCE] {
            let answer = refused(&cloud, name, &timer(), &secrets).await;
            assert_eq!(answer.as_deref(), Some("secret-unreadable"), "{name}");
        }
        assert!(log_of_all(&cloud).contains(missing), "{missing}: {}", cloud.logs());
        files_hold_no_secret(cloud.folder(), &secrets);
    }
}

/// Invokes a new instance; its answer's code, after a look at the answer.
async fn refused(cloud: &Cloud, name: &str, event: &serde_json::Value, secrets: &[String]) -> Option<String> {
    let _instance = cloud.instance(name, 0);
    let answer = cloud.lambda().invoke(name, event, Duration::from_secs(60)).await.unwrap();
    holds_no_secret(name, answer.body.to_string().as_bytes(), secrets);
    answer.error_type().map(str::to_owned)
}

fn log_of_all(cloud: &Cloud) -> String {
    let entries = std::fs::read_dir(cloud.folder()).unwrap().map(|entry| entry.unwrap().path());
    let logs = entries.filter(|path| path.extension().is_some_and(|ext| ext == "log"));
    logs.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[expect(clippy::disallowed_methods, reason = "the functions go by the real clock")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}
