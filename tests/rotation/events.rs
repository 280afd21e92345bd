//! What the function takes from Secrets Manager, and what it refuses.

use callvault_pipeline::rotation::Step;
use rotate_token::event::read;
use serde_json::{Value, json};

#[test]
fn an_order_is_read_in_both_spellings_and_with_what_is_added() {
    for step in ["testSecret", "test_secret"] {
        let event = json!({ "Step": step, "SecretId": "s", "ClientRequestToken": "t", "RotationToken": "r", "New": 1 });
        let order = read(&event).unwrap();
        assert_eq!((order.step, order.secret.as_str(), order.version.as_str()), (Step::Test, "s", "t"));
    }
}

#[test]
fn what_is_no_order_is_refused_with_what_is_expected() {
    let good = json!({ "Step": "createSecret", "SecretId": "s", "ClientRequestToken": "t" });
    assert!(read(&good).is_ok());
    for name in ["Step", "SecretId", "ClientRequestToken"] {
        for wrong in [Value::Null, json!(7), json!(""), json!("a\nb"), json!(["x"]), json!("x".repeat(3000))] {
            let mut event = good.clone();
            event[name] = wrong;
            let refusal = read(&event).unwrap_err();
            assert_eq!(refusal.code, "event-malformed", "{event}");
            assert!(refusal.message.contains(name) && refusal.message.contains("expected"), "{}", refusal.message);
            assert!(refusal.message.len() < 300);
        }
        let mut event = good.clone();
        event.as_object_mut().unwrap().remove(name);
        assert_eq!(read(&event).unwrap_err().code, "event-malformed");
    }
    for event in [json!(null), json!([]), json!("createSecret"), json!({})] {
        assert_eq!(read(&event).unwrap_err().code, "event-malformed");
    }
    for step in ["rotateSecret", "create", "CREATESECRET"] {
        let refusal = read(&json!({ "Step": step, "SecretId": "s", "ClientRequestToken": "t" })).unwrap_err();
        assert_eq!(refusal.code, "unknown-step");
        assert!(refusal.message.contains(step) && refusal.message.contains("finishSecret"));
    }
}

/// Fixtures of every function: those of other functions are no orders.
#[test]
fn of_all_fixtures_only_its_own_are_orders() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut taken = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let event: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        match read(&event) {
            Ok(_) => taken.push(path.file_stem().unwrap().to_string_lossy().into_owned()),
            Err(refusal) => assert!(["event-malformed", "unknown-step"].contains(&refusal.code), "{path:?}"),
        }
    }
    taken.sort();
    assert_eq!(taken, ["rotation", "rotation-assumed-role"]);
}

#[test]
fn it_is_called_like_its_folder_and_reads_settings_that_there_are_and_no_secret() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions").join(rotate_token::FUNCTION.name);
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("name = \"{}\"", rotate_token::FUNCTION.name)));
    for name in rotate_token::SETTINGS {
        let known =
            callvault_bootstrap::settings::NAMES.contains(name) || ["RESCUE_SECRET_ID", "LOG_LEVEL"].contains(name);
        assert!(known && !callvault_bootstrap::lambda::FOR_STAND_INS.contains(name), "{name}");
    }
    let nothing = rotate_token::Parts::connect(|_| None).map(drop).unwrap_err();
    assert_eq!(nothing.code, "settings");
    assert!(nothing.message.contains("LEDGER=dynamodb:TABLE"), "{}", nothing.message);
}
