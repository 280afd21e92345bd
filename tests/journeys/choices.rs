//! Settings that choose what is exported and where it goes.

use std::collections::{BTreeMap, BTreeSet};

use callvault_simulator::Options;
use callvault_tests::binary::scene::{Scene, quick};
use callvault_tests::truth::Layout;
use serde_json::{Value, json};

/// What the org itself says of each conversation of its day: its queue, and whether an agent took part. Asked directly,
/// without callvault.
fn cast(scene: &Scene) -> BTreeMap<String, (Option<String>, bool)> {
    let url = scene.simulator().url();
    let day = scene.days()[0];
    let body = |page: u32| {
        json!({"interval": format!("{day}T00:00:00.000Z/{}T00:00:00.000Z", day.tomorrow().unwrap()),
               "order": "asc", "orderBy": "conversationStart",
               "paging": {"pageSize": 100, "pageNumber": page}})
    };
    scene.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let sign_in = client.post(format!("{url}/oauth/token")).basic_auth("demo", Some("demo"));
        let token = sign_in.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
        let token: Value = token.json().await.unwrap();
        let mut cast = BTreeMap::new();
        for page in 1.. {
            let asked = client.post(format!("{url}/api/v2/analytics/conversations/details/query"));
            let asked = asked.bearer_auth(token["access_token"].as_str().unwrap()).json(&body(page));
            let answer: Value = asked.send().await.unwrap().json().await.unwrap();
            let Some(rows) = answer["conversations"].as_array().filter(|rows| !rows.is_empty()) else { break };
            for row in rows {
                cast.insert(row["conversationId"].as_str().unwrap().to_owned(), part(row));
            }
        }
        cast
    })
}

fn part(row: &Value) -> (Option<String>, bool) {
    let participants = row["participants"].as_array().unwrap();
    let agent = participants.iter().any(|one| one["purpose"] == "agent");
    let sessions = participants.iter().flat_map(|one| one["sessions"].as_array().unwrap());
    let mut segments = sessions.flat_map(|one| one["segments"].as_array().unwrap());
    let queue = segments.find_map(|one| one["queueId"].as_str().map(str::to_owned));
    (queue, agent)
}

#[test]
fn the_hive_layout() {
    let scene = Scene::new(Options { seed: 81, ..quick(120) }).with("KEY_LAYOUT", "hive");
    let expected = scene.expected().layout(Layout::Hive);
    scene.export().run().expect_code(1);
    scene.equals(&expected);
}

#[test]
fn another_environment() {
    let scene = Scene::new(Options { seed: 82, ..quick(60) }).with("ENVIRONMENT", "brave-2");
    let expected = scene.expected().environment("brave-2");
    scene.export().run().expect_code(1);
    scene.equals(&expected);
}

#[test]
fn calls_only() {
    let scene = Scene::new(Options { seed: 83, ..quick(150) }).with("MEDIA_KINDS", "call");
    let expected = scene.expected().only_kinds(&["call"]);
    scene.export().run().expect_code(expected.exit_code());
    scene.equals(&expected);
}

#[test]
fn one_queue_only() {
    let scene = Scene::new(Options { seed: 84, ..quick(150) });
    let cast = cast(&scene);
    let queues: BTreeSet<_> = cast.values().filter_map(|(queue, _)| queue.clone()).collect();
    let wanted = queues.first().unwrap().clone();
    let scene = scene.with("QUEUE_IDS", &wanted);
    let other = |id: &str| cast[id].0.as_ref() != Some(&wanted);
    let expected = scene.expected().unreported(other);
    assert!(expected.files() > 10);
    scene.export().run().expect_code(expected.exit_code());
    scene.equals(&expected);
}

#[test]
fn conversations_with_an_agent_only() {
    let scene = Scene::new(Options { seed: 85, ..quick(150) }).with("REQUIRE_AGENT", "true");
    let cast = cast(&scene);
    let expected = scene.expected().left_out(|id| !cast[id].1);
    scene.export().run().expect_code(expected.exit_code());
    scene.equals(&expected);
}

/// Settings come from a file too, and the environment wins over it.
#[test]
fn settings_from_a_file() {
    let scene = Scene::new(Options { plain: true, seed: 86, ..quick(12) });
    let text = "ENVIRONMENT = \"filed\"\nBATCH_SIZE = 5\nMEDIA_KINDS = [\"call\", \"screen\"]\nPAGE_SIZE = 50\n";
    std::fs::write(scene.path("callvault.toml"), text).unwrap();
    scene.export().env("PAGE_SIZE", "6").run().expect_code(0);
    scene.equals(&scene.expected().environment("filed"));
    assert_eq!(scene.requests().max_batch_items, 5);
    assert!(scene.requests().operations["conversations-query"] >= 2);
}

/// What a chat keeps is a choice; everything is one of the choices.
#[test]
fn chats_whole() {
    let scene = Scene::new(Options { seed: 87, ..quick(60) }).with("CHAT_BODY_TYPES", "all");
    scene.export().run().expect_code(1);
    // The truth is the filtered chat, so some chats differ and nothing else does.
    let found = callvault_tests::truth::recordings(&scene.archive());
    let wanted = scene.truth().days.remove(0).recordings;
    for recording in wanted.iter().filter(|one| one.outcome == "stored" && one.kind != "chat") {
        assert!(found.values().any(|(_, sha256)| *sha256 == recording.sha256), "{recording:?}");
    }
    let chats: Vec<_> = wanted.iter().filter(|one| one.kind == "chat").collect();
    let longer = chats.iter().filter(|one| {
        let copy = found.iter().find(|(key, _)| key.contains(&one.recording)).unwrap();
        copy.1.0 > one.bytes
    });
    assert!(longer.count() >= 2 && chats.len() >= 4);
}
