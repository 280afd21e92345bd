//! `jobs-api` as it runs on AWS: a request of API Gateway becomes rows of the table, and a check tells of them.

use std::path::Path;
use std::time::Duration;

use callvault_tests::binary::scene::quick;
use callvault_tests::cloud::Cloud;
use serde_json::{Value, json};

const FUNCTION: &str = "jobs-api";

/// No invocation takes longer.
const PATIENCE: Duration = Duration::from_secs(45);

fn event(name: &str, body: &Value) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("events/{name}.json"));
    let mut event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    event["body"] = json!(body.to_string());
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_plans_days_in_the_table() {
    let cloud = Cloud::start(quick(1)).await;
    let mut instance = cloud.instance(FUNCTION, 0);
    let ask = async |event: Value| {
        // The first one may come before the instance is there.
        for _ in 0..5 {
            if let Some(answer) = cloud.lambda().invoke(FUNCTION, &event, PATIENCE).await {
                assert_eq!(answer.status, 200, "{answer:?}");
                let body: Value = serde_json::from_str(answer.body["body"].as_str().unwrap()).unwrap();
                return (answer.body["statusCode"].clone(), body);
            }
        }
        panic!("no answer\n{}", cloud.logs());
    };
    let order = json!({ "startTime": "2025-03-01T00:00:00Z", "endTime": "2025-04-01T00:00:00Z" });
    let (status, body) = ask(event("http-download", &order)).await;
    assert_eq!((status, body["days"].as_array().unwrap().len()), (json!(202), 31));
    let known = cloud.status().await;
    assert_eq!(known["days"].as_array().unwrap().len(), 31, "{known}");
    let (status, body) = ask(event("http-check", &json!({ "recordingDay": "2025-03-31" }))).await;
    assert_eq!((status, &body["outcome"], &body["state"]), (json!(200), &json!("under-way"), &json!("planned")));
    let (status, body) = ask(event("http-check", &json!({ "recordingDay": "2025-04-01" }))).await;
    assert_eq!((status, &body["outcome"]), (json!(200), &json!("planned")));
    let (status, body) = ask(event("http-check", &json!({ "recordingDay": 7 }))).await;
    assert_eq!((status, &body["code"]), (json!(400), &json!("body-malformed")));
    assert!(instance.is_running(), "{}", cloud.logs());
}
