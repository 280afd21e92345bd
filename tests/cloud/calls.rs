//! Telephony calls as they run on AWS: a webhook's request becomes items of the table, its stream wakes push-calls, and open websockets
//! hear of it; what they ask is answered by list-calls.

use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use callvault_tests::binary::callvault;
use callvault_tests::cloud::stream::{Reader, wakes_push};
use callvault_tests::contract_calls::same_but_numbers;
use callvault_tests::stand_ins::calls_table;
use callvault_tests::stand_ins::lambda::{Instance, LambdaRuntime, log_of};
use callvault_tests::stand_ins::moto::{Moto, unique};
use callvault_tests::stand_ins::websockets::{Ill, WebSockets};
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "planted-webhook-secret-0123456789";
const TOKEN: &str = "planted-calls-token-0123456789";

/// No invocation takes longer.
const PATIENCE: Duration = Duration::from_secs(45);

struct Scene {
    moto: Moto,
    sdk: SdkConfig,
    lambda: LambdaRuntime,
    sockets: WebSockets,
    table: String,
    folder: TempDir,
    instances: Vec<Instance>,
}

impl Scene {
    async fn start() -> Self {
        let moto = Moto::start();
        let (sdk, table) = (moto.sdk(), unique("calls"));
        calls_table::create(&sdk, &table).await;
        let secrets = aws_sdk_secretsmanager::Client::new(&sdk);
        for (name, value) in [("webhook", SECRET), ("token", TOKEN)] {
            secrets.create_secret().name(name).secret_string(value).send().await.unwrap();
        }
        let folder = tempfile::Builder::new().prefix("callvault-calls").tempdir().unwrap();
        let (lambda, sockets) = (LambdaRuntime::start(), WebSockets::start().await);
        let mut scene = Self { moto, sdk, lambda, sockets, table, folder, instances: Vec::new() };
        for name in ["receive-calls", "list-calls", "push-calls"] {
            scene.begin(name);
        }
        scene
    }

    fn begin(&mut self, name: &str) {
        let mut settings: Vec<(String, String)> =
            self.moto.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for (name, value) in [
            ("CALLS_TABLE", self.table.clone()),
            ("WEBHOOK_SECRET_ID", "webhook".to_owned()),
            ("CALLS_TOKEN_SECRET_ID", "token".to_owned()),
            ("CALLS_SOCKETS_URL", self.sockets.url()),
            ("LOG_LEVEL", "debug".to_owned()),
            ("AWS_LC_SYS_NO_JITTER_ENTROPY", "1".to_owned()),
        ] {
            settings.push((name.to_owned(), value));
        }
        self.instances.push(self.lambda.instance(name, &settings, &log_of(self.folder.path(), name, 0)));
    }

    fn logs(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(log_of(self.folder.path(), name, 0)).unwrap_or_default();
        ["receive-calls", "list-calls", "push-calls"].map(read).join("\n")
    }

    async fn invoke(&self, name: &str, event: &Value) -> Value {
        // The first one may come before the instance is there.
        for _ in 0..5 {
            if let Some(answer) = self.lambda.invoke(name, event, PATIENCE).await {
                assert_eq!(answer.status, 200, "{name}: {answer:?}\n{}", self.logs());
                return answer.body;
            }
        }
        panic!("{name} does not answer\n{}", self.logs());
    }

    /// A request to the webhook. Answers status and body.
    async fn post(&self, path: &str, authorization: Option<&str>, body: &str) -> (u64, Value) {
        let mut event = fixture("http-webhook");
        event["rawPath"] = json!(path);
        event["body"] = json!(body);
        match authorization {
            Some(value) => event["headers"]["authorization"] = json!(value),
            None => drop(event["headers"].as_object_mut().unwrap().remove("authorization")),
        }
        let answer = self.invoke("receive-calls", &event).await;
        (answer["statusCode"].as_u64().unwrap(), serde_json::from_str(answer["body"].as_str().unwrap()).unwrap())
    }

    /// An event, from whoever may send it.
    async fn receive(&self, body: &str) {
        let answer = self.post("/webhook", Some(&format!("Bearer {SECRET}")), body).await;
        assert_eq!(answer, (200, json!({ "status": "ok" })), "{}", self.logs());
    }

    /// A client opens a connection; its status.
    async fn connect(&self, id: &str, token: Option<&str>) -> u64 {
        let mut event = fixture("websocket-connect");
        event["requestContext"]["connectionId"] = json!(id);
        event["requestContext"]["connectedAt"] = json!(1_769_860_800_000_i64);
        match token {
            Some(token) => {
                event["queryStringParameters"] = json!({ "token": token });
                event["multiValueQueryStringParameters"] = json!({ "token": [token] });
            }
            None => {
                let event = event.as_object_mut().unwrap();
                event.remove("queryStringParameters");
                event.remove("multiValueQueryStringParameters");
            }
        }
        let status = self.invoke("list-calls", &event).await["statusCode"].as_u64().unwrap();
        if status == 200 {
            self.sockets.open(id);
        }
        status
    }

    async fn say(&self, message: &str) -> String {
        let mut event = fixture("websocket-message");
        event["body"] = json!(message);
        let answer = self.invoke("list-calls", &event).await;
        assert_eq!(answer["statusCode"], 200);
        answer["body"].as_str().unwrap().to_owned()
    }

    /// Hands records to push-calls; answers where it wants them again from.
    async fn push(&self, records: &[Value]) -> Option<String> {
        let answer = self.invoke("push-calls", &json!({ "Records": records })).await;
        let failures = answer["batchItemFailures"].as_array().unwrap();
        assert!(failures.len() <= 1, "{answer}");
        failures.first().map(|one| one["itemIdentifier"].as_str().unwrap().to_owned())
    }

    async fn connections(&self) -> Vec<String> {
        let chance = std::sync::Arc::new(|| 0.5);
        let holder = callvault_pipeline::ledger::HolderId("tests".to_owned());
        let calls = callvault_aws::calls::DynamoCalls::new(&self.sdk, &self.table, &holder, chance);
        calls.connections().await.unwrap().into_iter().map(|connection| connection.id).collect()
    }
}

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("events/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn golden(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/calls").join(name)).unwrap()
}

fn sequence(record: &Value) -> String {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned()
}

fn event(kind: &str, call: &str, second: u8) -> String {
    json!({ "type": kind, "call_id": call, "timestamp": format!("2026-01-31T12:00:{second:02}Z") }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_becomes_items_and_every_websocket_hears_of_it() {
    let scene = Scene::start().await;
    let mut stream = Reader::filtered(scene.moto.url(), &scene.table, wakes_push).await;
    for (token, status) in [(None, 401), (Some("planted"), 401), (Some(""), 401), (Some(TOKEN), 200)] {
        assert_eq!(scene.connect("a=", token).await, status, "{token:?}");
    }
    assert_eq!(scene.connect("b=", Some(TOKEN)).await, 200);
    assert_eq!(scene.push(&stream.next().await).await, None);
    for id in ["a=", "b="] {
        assert_eq!(scene.sockets.take(id), [golden("welcome.json").trim_end()], "{}", scene.logs());
    }
    let text = golden("received.jsonl");
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines {
        scene.receive(line).await;
        scene.receive(line).await;
    }
    let records = stream.next().await;
    assert_eq!(records.len(), lines.len(), "one for each event, and none for one that came again");
    assert_eq!(scene.push(&records).await, None);
    for id in ["a=", "b="] {
        let told = scene.sockets.take(id);
        assert_eq!(told.len(), lines.len(), "{}", scene.logs());
        same_but_numbers("data-changed.json", told.last().unwrap(), &golden("data-changed.json"));
        let states: Vec<Value> =
            told.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()["data"]["state"].clone()).collect();
        assert_eq!(states[..7], ["NEW", "STANDBY", "WAITING", "WAITING", "ONGOING", "ONGOING", "FINISHED"]);
    }
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/calls")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(case) = name.strip_suffix(".request.json") else { continue };
        same_but_numbers(case, &scene.say(&golden(&name)).await, &golden(&format!("{case}.answer.json")));
    }
    // The operator's program says the same, and finds nothing to repair.
    let command = |args: &[&str]| {
        let command = callvault(["calls"]).args(args).folder(scene.folder.path()).env("CALLS_TABLE", &scene.table);
        let command =
            scene.moto.environment().into_iter().fold(command, |command, (name, value)| command.env(name, value));
        command.env("LEDGER", "dynamodb:none").run().expect_code(0).json()
    };
    assert_eq!(command(&["list", "--state", "new", "--json"])["calls"].as_array().unwrap().len(), 3);
    assert_eq!(command(&["events", "1463669263.30033", "--json"])["events"].as_array().unwrap().len(), 7);
    assert_eq!(command(&["rebuild", "--json"]), json!({ "calls": 4, "events": 10, "repaired": 0 }));
    // A batch that comes again, and one whose records come in another order, tell nobody anything false.
    assert_eq!(scene.push(&records).await, None);
    let turned: Vec<Value> = records.iter().rev().cloned().collect();
    assert_eq!(scene.push(&turned).await, None);
    assert_eq!((scene.sockets.take("a="), scene.sockets.unsigned()), (Vec::new(), 0));
    let mut disconnect = fixture("websocket-disconnect");
    disconnect["requestContext"]["connectionId"] = json!("b=");
    assert_eq!(scene.invoke("list-calls", &disconnect).await["statusCode"], 200);
    assert_eq!(scene.connections().await, ["a="]);
    let logs = scene.logs();
    for secret in [SECRET, TOKEN, "11999990000", "user.name@email.com"] {
        assert!(!logs.contains(secret), "{secret} in a log:\n{logs}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_gone_or_ill_keep_nobody_waiting() {
    let scene = Scene::start().await;
    let mut stream = Reader::filtered(scene.moto.url(), &scene.table, wakes_push).await;
    for id in ["well=", "gone=", "fails=", "limited=", "hangs="] {
        assert_eq!(scene.connect(id, Some(TOKEN)).await, 200);
    }
    assert_eq!(scene.push(&stream.next().await).await, None);
    assert_eq!(scene.sockets.take("well=").len(), 1);
    scene.sockets.vanish("gone=");
    for (id, ill) in [("fails=", Ill::Fails), ("limited=", Ill::Limited), ("hangs=", Ill::Hangs)] {
        scene.sockets.take(id);
        scene.sockets.make_ill(id, Some(ill));
    }
    for second in 0..3 {
        scene.receive(&event("call.overflow", "1.1", second)).await;
    }
    let records = stream.next().await;
    assert_eq!(scene.push(&records).await, Some(sequence(&records[0])));
    assert_eq!(scene.sockets.take("well=").len(), 3, "told with the first try");
    let mut left = scene.connections().await;
    left.sort();
    assert_eq!(left, ["fails=", "hangs=", "limited=", "well="], "who is gone is forgotten");
    // One is well again, and hears everything; who was told is not told again.
    scene.sockets.make_ill("fails=", None);
    assert_eq!(scene.push(&records).await, Some(sequence(&records[0])));
    assert_eq!((scene.sockets.take("fails=").len(), scene.sockets.take("well=").len()), (3, 0));
    // What is still ill when a change has grown old is ended, so that others are told of what came after it.
    let mut old = records.clone();
    for record in &mut old {
        record["dynamodb"]["ApproximateCreationDateTime"] = json!(1_769_860_800.0);
    }
    assert_eq!(scene.push(&old).await, None, "{}", scene.logs());
    assert!(scene.sockets.was_ended("hangs=") && scene.sockets.was_ended("limited="));
    let mut left = scene.connections().await;
    left.sort();
    assert_eq!(left, ["fails=", "well="]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_has_the_secret_sends_events_and_what_is_none_is_refused() {
    let mut scene = Scene::start().await;
    let body = event("call.new", "1.1", 0);
    let bearer = format!("Bearer {SECRET}");
    for (path, authorization, status, code) in [
        ("/webhook", None, 401, "unauthorized"),
        ("/webhook", Some("Bearer planted"), 401, "unauthorized"),
        ("/webhook", Some("Basic cGxhbnRlZA=="), 401, "unauthorized"),
        ("/webhook", Some(&*format!("{bearer},{bearer}")), 401, "unauthorized"),
        ("/webhook/planted", None, 401, "unauthorized"),
        ("/webhook/planted", Some(&*bearer), 401, "unauthorized"),
        ("/elsewhere", Some(&*bearer), 404, "not-found"),
    ] {
        let (got, problem) = scene.post(path, authorization, &body).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{path} {authorization:?}");
    }
    for (body, status, code) in [
        ("", 400, "body-malformed"),
        ("{", 400, "body-malformed"),
        ("[]", 400, "body-malformed"),
        ("{\"type\":7}", 400, "event-malformed"),
        ("{\"type\":\"call.new\"}", 400, "event-malformed"),
        (&*"[".repeat(100_000), 400, "body-malformed"),
        (&*format!("{{\"type\":\"odd\",\"a\":\"{}\"}}", "a".repeat(1 << 20)), 413, "body-too-large"),
    ] {
        let (got, problem) = scene.post("/webhook", Some(&bearer), body).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{}", &body[..body.len().min(80)]);
    }
    assert_eq!(
        scene.say(r#"{"event":"ListCalls","data":{}}"#).await,
        r#"{"data":[],"event":"ListCalls","status":"Ok"}"#
    );
    assert_eq!(scene.post(&format!("/webhook/{SECRET}"), None, &body).await, (200, json!({ "status": "ok" })));
    // Without its table nothing is answered 200, and nothing of AWS is said to the sender.
    scene.instances.clear();
    scene.table = "elsewhere".to_owned();
    scene.begin("receive-calls");
    let (status, problem) = scene.post("/webhook", Some(&bearer), &body).await;
    assert_eq!((status, &problem["code"]), (503, &json!("calls-unusable")));
    assert!(!problem.to_string().contains("elsewhere"), "{problem}");
    assert!(scene.logs().contains("check CALLS_TABLE"));
}
