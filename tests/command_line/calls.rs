//! Telephony's events, from the webhook to the websocket and to `callvault calls`.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Instant;

use callvault_tests::binary::telephony::{
    Client, PATIENCE, SECRET, Sender, TOKEN, address, connect, post, request, serve,
};
use callvault_tests::binary::{Output, Running, callvault};
use callvault_tests::contract_calls::{same_but_numbers, sent};
use serde_json::{Value, json};

use crate::refused;

fn golden(name: &str) -> String {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/calls"));
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// Nothing that was planted, and no number of the golden files, in what a command logs.
#[track_caller]
fn silent(output: &Output) {
    for word in ["planted", "11999990000", "user.name", "panicked", "token="] {
        assert!(!output.stderr.contains(word), "{word} in:\n{}", output.stderr);
    }
}

/// What a server says that was asked to stop, and did.
#[track_caller]
fn stopped(running: Running) -> Output {
    running.signal("TERM");
    running.wait_at_most(PATIENCE).expect_code(0)
}

#[test]
fn an_event_goes_from_the_webhook_to_every_socket_and_to_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path()).start();
    let address = address(&running);
    let mut clients = [Client::open(&address), Client::open(&address)];
    for client in &mut clients {
        same_but_numbers("welcome", &client.text(), &golden("welcome.json"));
    }
    let received = golden("received.jsonl");
    for line in received.lines() {
        assert_eq!(post(&address, line), 200);
        assert_eq!(post(&address, line), 200, "the same again");
        let kind = serde_json::from_str::<Value>(line).unwrap();
        for client in &mut clients {
            let told = client.json();
            assert_eq!((&told["event"], &told["data"]["aggregate_id"]), (&json!("DataChanged"), &kind["call_id"]));
        }
    }
    for case in ["list-calls-new", "list-calls-all", "list-call-events", "unknown", "no-data"] {
        for client in &mut clients {
            client.say(golden(&format!("{case}.request.json")).trim());
            same_but_numbers(case, &client.text(), &golden(&format!("{case}.answer.json")));
        }
    }
    // Beside the server.
    let calls = |args: &[&str]| callvault(["calls"]).args(args).folder(folder.path()).run();
    let listed = calls(&["list", "--state", "new", "--json"]).expect_code(0).json();
    let expected: Value = serde_json::from_str(&golden("list-calls-new.answer.json")).unwrap();
    let shown = |rows: &Value| {
        let row = |row: &Value| [&row["aggregate_id"], &row["state"], &row["created_at"]].map(Value::to_string);
        rows.as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(shown(&listed["calls"]), shown(&expected["data"]));
    let events = calls(&["events", "1463669263.30033", "--json"]).expect_code(0).json();
    let kept: Vec<&Value> = events["events"].as_array().unwrap().iter().map(|row| &row["event"]).collect();
    let sent: Vec<Value> = received.lines().take(7).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept, sent.iter().collect::<Vec<_>>());
    let people = calls(&["events", "1463669263.30033"]).expect_code(0).stdout;
    assert!(people.contains("call.standby") && !people.contains("11999990000"), "{people}");
    assert_eq!(calls(&["list"]).expect_code(0).stdout.lines().count(), 4);
    let rebuilt = calls(&["rebuild", "--json"]).expect_code(0).json();
    assert_eq!(rebuilt, json!({ "calls": 4, "events": 10, "repaired": 0 }));
    running.signal("TERM");
    for client in &mut clients {
        assert_eq!(client.closed(), Some(1001));
    }
    silent(&running.wait_at_most(PATIENCE).expect_code(0));
}

#[test]
fn a_part_without_its_setting_is_off_and_never_open() {
    let folder = tempfile::tempdir().unwrap();
    let event = sent("call.new", "1.1", 0);
    for (without, off, on) in [
        ("WEBHOOK_SECRET", &["POST /webhook", "POST /webhook/x"][..], &["GET /", "GET /live.js"][..]),
        ("CALLS_TOKEN", &["GET /", "GET /live.css", "GET /ws", "GET /ws?token="][..], &["POST /webhook"][..]),
    ] {
        let running = serve(folder.path()).without(without).start();
        let address = address(&running);
        for head in off {
            let (status, _, body) = request(&address, head, &["authorization: Bearer "], event.as_bytes());
            assert_eq!(status, 404, "{head}: {body}");
            assert!(body.contains(without) && body.contains("-off\""), "{head}: {body}");
        }
        for head in on {
            let authorization = format!("authorization: Bearer {SECRET}");
            assert_eq!(request(&address, head, &[&authorization], event.as_bytes()).0, 200, "{head}");
        }
        let output = stopped(running);
        assert!(output.stderr.contains(&format!("{without} is not set")), "{}", output.stderr);
        silent(&output);
    }
}

#[test]
fn a_secret_that_could_be_guessed_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["WEBHOOK_SECRET", "CALLS_TOKEN"] {
        let output = serve(folder.path()).env(name, "planted").run();
        refused(name, &output, 2, &[name, "16 or more"]);
        silent(&output);
    }
}

/// Bodies, and the status and code they are answered with.
fn bodies() -> Vec<(String, u16, &'static str)> {
    let good = sent("call.new", "1.1", 0);
    let room = (1 << 20) - good.len();
    let deep = format!(r#"{{"type":"odd","x":{}"#, "[".repeat(500_000));
    let numbers = format!(
        r#"{{"type":"call.new","call_id":"1.2","timestamp":"2017-01-01T00:00:00Z","x":[0{}]}}"#,
        ",0".repeat(500_000)
    );
    vec![
        (String::new(), 400, "body-malformed"),
        ("{".to_owned(), 400, "body-malformed"),
        ("null".to_owned(), 400, "body-malformed"),
        (format!("[{good}]"), 400, "body-malformed"),
        (format!("{good}{good}"), 400, "body-malformed"),
        (deep, 400, "body-malformed"),
        (r#"{"type":7}"#.to_owned(), 400, "event-malformed"),
        (r#"{"type":"call.new"}"#.to_owned(), 400, "event-malformed"),
        (r#"{"type":"call.new","call_id":{},"timestamp":"2017-01-01T00:00:00Z"}"#.to_owned(), 400, "event-malformed"),
        (r#"{"type":"call.new","call_id":"1.1","timestamp":"now"}"#.to_owned(), 400, "event-malformed"),
        (format!("{good}{}", " ".repeat(room)), 200, "ok"),
        (format!("{good}{}", " ".repeat(room + 1)), 413, "body-too-large"),
        (numbers, 200, "ok"),
        (r#"{"type":"call.teleported","call_id":"1.1"}"#.to_owned(), 200, "ok"),
        (r#"{"type":"actor.logged-in","actor":"a","timestamp":"2017-01-01T00:00:00Z"}"#.to_owned(), 200, "ok"),
    ]
}

#[test]
fn what_is_no_event_has_an_answer_and_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = serve(folder.path()).start();
    let address = address(&running);
    let right = format!("authorization: Bearer {SECRET}");
    for (body, status, code) in bodies() {
        let shown: String = body.chars().take(60).collect();
        let answer = request(&address, "POST /webhook", &[&right], body.as_bytes());
        assert_eq!(answer.0, status, "{shown}: {}", answer.2);
        assert!(answer.2.contains(code), "{shown}: {}", answer.2);
        // Without the secret, what is in it does not matter.
        for (head, wrong) in [
            ("POST /webhook", None),
            ("POST /webhook/planted", None),
            ("POST /webhook", Some(format!("{right}0"))),
            ("GET /webhook", Some("authorization: Basic x".to_owned())),
        ] {
            let answer = request(&address, head, &wrong.as_deref().into_iter().collect::<Vec<_>>(), body.as_bytes());
            assert_eq!(answer.0, 401, "{head} {shown}: {}", answer.2);
            assert!(answer.2.contains("unauthorized") && !answer.2.contains("planted"), "{}", answer.2);
        }
    }
    assert_eq!(request(&address, &format!("POST /webhook/{SECRET}"), &[], bodies()[13].0.as_bytes()).0, 200);
    assert_eq!(request(&address, "PUT /webhook", &[&right], b"{}").0, 405);
    assert_eq!(request(&address, "GET /webhooks", &[&right], b"").0, 404);
    assert!(running.is_running());
    silent(&stopped(running));
    let events = callvault(["calls", "events", "--of-no-call"]).folder(folder.path()).run().expect_code(0);
    assert_eq!(events.stdout, "2017-01-01T00:00:00Z  actor.logged-in\n");
    let events = callvault(["calls", "events", "1.1"]).folder(folder.path()).run().expect_code(0);
    assert!(events.stdout.contains("unknown (call.teleported)"), "{}", events.stdout);
}

#[test]
fn only_the_token_opens_a_websocket_and_only_for_our_own_page() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path()).start();
    let address = address(&running);
    let right = format!("/ws?token={TOKEN}");
    for path in ["/ws", "/ws?token=", "/ws?token=planted", &format!("{right}0"), &format!("/ws?token={SECRET}")] {
        assert_eq!(Client::try_open(&address, path, None).err(), Some(401), "{path}");
    }
    assert_eq!(Client::try_open(&address, &right, Some("https://evil.example")).err(), Some(403));
    assert!(Client::try_open(&address, &right, Some(&format!("http://{address}"))).is_ok());
    let (status, head, _) = request(&address, &format!("GET {right}"), &[], b"");
    assert_eq!(status, 426, "{head}");
    let (status, head, page) = request(&address, "GET /", &[], b"");
    assert_eq!(status, 200);
    assert!(head.contains("content-security-policy: default-src 'none'") && head.contains("nosniff"), "{head}");
    assert!(!page.contains("planted"));
    silent(&stopped(running));
}

/// One asks for much and reads nothing; the others hear of everything, and the server still stops.
#[test]
fn a_silent_socket_delays_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path()).start();
    let address = address(&running);
    let large = json!({ "type": "call.data-provided", "call_id": "1.1", "timestamp": "2017-01-01T00:00:00Z",
        "x": "x".repeat(900_000) });
    assert_eq!(post(&address, &large.to_string()), 200);
    let mut silent_one = Client::open(&address);
    let (mut first, mut second) = (Client::open(&address), Client::open(&address));
    for client in [&mut first, &mut second] {
        assert_eq!(client.json()["event"], "Welcome");
    }
    for _ in 0..30 {
        silent_one.try_say(r#"{"event":"ListCallEvents","data":{"call_id":"1.1"}}"#);
    }
    for n in 0..200 {
        let event = sent("call.new", &format!("2.{n}"), 0);
        assert_eq!(post(&address, &event), 200);
        for client in [&mut first, &mut second] {
            assert_eq!(client.json()["data"]["aggregate_id"], format!("2.{n}"));
        }
    }
    assert_eq!(first.ask(r#"{"event":"ListCalls","data":{}}"#)["data"].as_array().unwrap().len(), 201);
    silent(&stopped(running));
}

/// More than there are bodies at a time: each keeps its connection, and none waits for another's end.
#[test]
fn as_many_senders_as_there_are_keep_their_connections() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path()).start();
    let address = address(&running);
    let mut senders: Vec<Sender> = (0..400).map(|_| Sender::new(&address).unwrap()).collect();
    for round in 0..2 {
        for (n, sender) in senders.iter_mut().enumerate() {
            assert_eq!(sender.post(&sent("call.new", &format!("{round}.{n}"), 0)).unwrap(), 200, "{n}");
        }
    }
    drop(senders);
    stopped(running);
}

/// Who asks before sending a body is not asked for one that nobody wants.
#[test]
fn who_has_no_secret_is_refused_before_the_body() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path()).start();
    let address = address(&running);
    for path in ["/webhook", "/genesys/scheduled-jobs/check_recordings"] {
        let mut stream = connect(&address);
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\nexpect: 100-continue\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        let wanted: &[u8] = if path == "/webhook" { b"HTTP/1.1 401" } else { b"HTTP/1.1 404" };
        assert_eq!(first, wanted, "{path}: {}", String::from_utf8_lossy(&first));
    }
    stopped(running);
}

/// Half a body, and then nothing: its sender is told, and others do not wait for it.
#[test]
fn a_body_that_does_not_come_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path()).start();
    let address = address(&running);
    let mut stream = connect(&address);
    let head = format!("POST /webhook/{SECRET} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{{\"type\":");
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(post(&address, &sent("call.new", "1.1", 0)), 200);
    let mut answer = String::new();
    let mut part = [0; 1024];
    while !answer.contains("request-too-slow") {
        let read = stream.read(&mut part).unwrap();
        assert!(read > 0, "it ends with {answer}");
        answer.push_str(&String::from_utf8_lossy(&part[..read]));
    }
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    silent(&stopped(running));
}

/// As many as there may be, one more, and one that finds a place where another left.
#[test]
fn more_websockets_than_there_may_be_are_asked_to_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path()).start();
    let address = address(&running);
    let mut clients: Vec<Client> = (0..512).map(|_| Client::open(&address)).collect();
    let path = format!("GET /ws?token={TOKEN}");
    let handshake = [
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let (status, head, body) = request(&address, &path, &handshake, b"");
    assert_eq!(status, 503, "{head}{body}");
    assert!(head.to_lowercase().contains("retry-after: 30"), "{head}");
    assert!(body.contains("too-many-websockets"), "{body}");
    // The others have noticed nothing.
    assert_eq!(post(&address, &sent("call.new", "1.1", 0)), 200);
    for client in &mut clients {
        assert_eq!(client.json()["event"], "Welcome");
        assert_eq!(client.json()["data"]["aggregate_id"], "1.1");
    }
    drop(clients.pop());
    let begun = Instant::now();
    let mut another = loop {
        match Client::try_open(&address, &format!("/ws?token={TOKEN}"), None) {
            Ok(client) => break client,
            Err(status) => assert_eq!(status, 503),
        }
        assert!(begun.elapsed() < PATIENCE, "the place stays taken");
        std::thread::yield_now();
    };
    assert_eq!(another.json()["event"], "Welcome");
    drop((clients, another));
    stopped(running);
}

#[test]
fn a_message_that_is_too_long_ends_its_websocket_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path()).start();
    let mut client = Client::open(&address(&running));
    client.try_say(&"x".repeat(1 << 20));
    assert_eq!(client.closed(), Some(1009));
    stopped(running);
}

/// The most memory a running process ever had, in bytes, as the kernel keeps it.
#[cfg(target_os = "linux")]
fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// What is no event, over and over, from several at once: what it takes is taken at the first time, and no more later. Events are
/// left out: they are kept.
#[cfg(target_os = "linux")]
#[test]
fn what_is_no_event_leaves_nothing_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path()).start();
    let (address, right) = (address(&running), format!("authorization: Bearer {SECRET}"));
    let wrong = "authorization: Bearer 0123456789abcdef-wrong".to_owned();
    let refused: Vec<String> =
        bodies().into_iter().filter(|(_, status, _)| *status != 200).map(|(body, ..)| body).collect();
    let flood = |times: usize| {
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..times {
                        for body in &refused {
                            assert!(request(&address, "POST /webhook", &[&right], body.as_bytes()).0 >= 400);
                        }
                        assert_eq!(request(&address, "POST /webhook", &[&wrong], &[b' '; 100_000]).0, 401);
                        let mut client = Client::open(&address);
                        client.say("{");
                        client.try_say(&"x".repeat(1 << 20));
                    }
                });
            }
        });
    };
    flood(5);
    let before = most_memory(running.id());
    flood(40);
    let grown = most_memory(running.id()) - before;
    // Of 160 times about 3 MiB, it may hold a few that came at once more closely than the first time.
    assert!(grown < 24 << 20, "{grown} bytes more than {before}");
    stopped(running);
}

#[test]
fn looking_at_calls_that_are_not_there_says_so_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for command in [&["list"][..], &["events", "1.1"], &["rebuild"]] {
        let output = callvault(["calls"]).args(command).folder(folder.path()).run();
        refused(command[0], &output, 3, &["no file of calls", "callvault-calls.sqlite"]);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let dynamo = callvault(["calls", "list", "--ledger", "dynamodb:table"]).folder(folder.path()).run();
    refused("dynamodb", &dynamo, 2, &["sqlite:PATH"]);
    let running = serve(folder.path()).start();
    address(&running);
    running.signal("INT");
    running.wait_at_most(PATIENCE).expect_code(0);
    let empty = callvault(["calls", "list"]).folder(folder.path()).run().expect_code(0);
    assert_eq!(empty.stdout, "no calls\n");
    let unknown = callvault(["calls", "events", "1.1"]).folder(folder.path()).run();
    refused("unknown", &unknown, 2, &["no call 1.1", "callvault calls list"]);
    for usage in [&["events"][..], &["events", ""], &["list", "--state", "odd"], &["events", "1.1", "--of-no-call"]] {
        let output = callvault(["calls"]).args(usage).folder(folder.path()).run();
        assert_eq!(output.code, Some(2), "{usage:?}: {}", output.stderr);
    }
}

#[test]
fn a_file_of_calls_that_is_none_stops_the_server_before_it_listens() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callvault-calls.sqlite"), "notes ".repeat(500)).unwrap();
    let output = serve(folder.path()).run();
    refused("notes", &output, 3, &["callvault-calls.sqlite", "check LEDGER"]);
}
