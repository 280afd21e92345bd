//! What the functions read.

use callvault_bootstrap::lambda::{FOR_STAND_INS, Function, LOG_LEVEL};
use callvault_bootstrap::settings::NAMES;

const FUNCTIONS: [Function; 7] = [
    query_conversations::FUNCTION,
    submit_batches::FUNCTION,
    poll_batches::FUNCTION,
    upload_recordings::FUNCTION,
    close_days::FUNCTION,
    move_voicemail::FUNCTION,
    jobs_api::FUNCTION,
];

#[test]
fn every_name_is_a_setting_and_none_is_a_secret() {
    for function in FUNCTIONS {
        for name in function.settings {
            assert!(NAMES.contains(name) || *name == LOG_LEVEL, "{}: {name}", function.name);
            assert!(!FOR_STAND_INS.contains(name), "{}: {name}", function.name);
        }
        let mut once = function.settings.to_vec();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), function.settings.len(), "{} names one twice", function.name);
    }
}

#[test]
fn every_function_says_to_which_ledger_and_archive_it_belongs() {
    for function in FUNCTIONS {
        for name in ["LEDGER", "ARCHIVE", "ENVIRONMENT", "KEY_LAYOUT", "TIMEZONE"] {
            assert!(function.settings.contains(&name), "{}: {name}", function.name);
        }
        assert_eq!(function.settings.contains(&"GENESYS_SECRET_ID"), function.source, "{}", function.name);
        assert_eq!(function.settings.contains(&"VOICEMAIL_SECRET_ID"), function.needs_user(), "{}", function.name);
    }
}

#[test]
fn a_function_is_called_like_its_folder_and_package() {
    for function in FUNCTIONS {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions").join(function.name);
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("name = \"{}\"", function.name)));
        let permissions = std::fs::read_to_string(folder.join("permissions.json")).unwrap();
        let permissions: serde_json::Value = serde_json::from_str(&permissions).unwrap();
        let may = |action: &str| permissions["actions"].as_array().unwrap().iter().any(|one| one == action);
        assert_eq!(may("secretsmanager:GetSecretValue"), function.source || function.needs_user(), "{}", function.name);
        assert_eq!(may("s3:GetObject"), function.archive, "{}", function.name);
    }
}
