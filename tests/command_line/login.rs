//! `callvault login`: a person who signs in, and everything that can come between.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aws_sdk_secretsmanager::Client;
use callvault_simulator::{Fault, FaultName, Options};
use callvault_tests::binary::scene::{NO_LIMIT, Scene, days_ago};
use callvault_tests::binary::tap::Tap;
use callvault_tests::binary::{Callvault, Output, Running};
use callvault_tests::stand_ins::moto::{Moto, unique};
use reqwest::header::HOST;
use serde_json::{Value, json};
use url::Url;

use crate::person::{Page, Person, with};
use crate::refused;

/// An org without conversations to speak of.
fn org() -> Scene {
    Scene::new(Options { conversations: 1, rate_per_minute: NO_LIMIT, ..Options::new(days_ago(3)) })
}

/// `login` into the scene's `user.json`, on a free port.
fn login(scene: &Scene) -> Callvault {
    let file = scene.path("user.json").display().to_string();
    scene.command(&["login", "--no-browser", "--port", "0", "--file", &file])
}

/// The address of the page to open.
fn page_of(login: &Running) -> Url {
    login.next_line(|line| line.starts_with("http")).parse().unwrap()
}

fn secret_at(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn secret(scene: &Scene) -> Value {
    secret_at(&scene.path("user.json"))
}

/// Nothing that is secret was said.
#[track_caller]
fn says_nothing(output: &Output, page: &Page, secrets: &[String]) {
    assert!(!secrets.is_empty());
    for secret in secrets {
        for (what, text) in [("stdout", &output.stdout), ("stderr", &output.stderr), ("the page", &page.text)] {
            assert!(!text.contains(secret.as_str()), "{what} holds a secret:\n{text}");
        }
    }
}

#[test]
fn a_person_signs_in_and_the_tokens_are_in_a_file_of_their_owner() {
    let scene = org();
    let tap = Tap::on(scene.simulator().address());
    let login = login(&scene).env("GENESYS_URL", tap.url()).args(["--log", "trace"]).start();
    let asked = page_of(&login);
    let value = |name: &str| asked.query_pairs().find(|(one, _)| one == name).unwrap().1.into_owned();
    assert_eq!((value("response_type"), value("code_challenge_method")), ("code".into(), "S256".into()));
    assert!(value("state").len() >= 22 && value("code_challenge").len() == 43, "{asked}");
    let person = Person(&scene);
    let back = person.decides(&asked, "allow");
    assert_eq!(back.host_str(), Some("127.0.0.1"));
    let page = person.opens(&back);
    let output = login.wait().expect_code(0);

    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("You are signed in") && page.text.contains("ana@example.com"), "{}", page.text);
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.headers[name], value);
    }
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(output.stdout.contains("Signed in as ana@example.com"), "{}", output.stdout);
    let next = format!("VOICEMAIL_SECRET_ID to file:{}", scene.path("user.json").display());
    assert!(output.stdout.contains(&next), "{}", output.stdout);
    // The simulator's tokens live for a day.
    assert!(output.stdout.contains("172800"), "{}", output.stdout);

    let secret = secret(&scene);
    let mut keys: Vec<&str> = secret.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["accessToken", "clientId", "clientSecret", "expiresAt", "refreshToken"]);
    assert_eq!(scene.simulator().unspent_refresh_tokens(), [secret["refreshToken"].as_str().unwrap()]);
    let mode = std::fs::metadata(scene.path("user.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(scene.requests().operations["users-me"], 1);

    let mut secrets = tap.secrets();
    secrets.push(secret["refreshToken"].as_str().unwrap().to_owned());
    secrets.push(back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned());
    says_nothing(&output, &page, &secrets);
}

#[test]
fn who_signs_in_again_needs_no_client_and_keeps_the_other_keys() {
    let scene = org();
    let before = r#"{"owner":{"team":"quality"},"clientId":"demo","limit":1.50,"clientSecret":"demo","region":"mypurecloud.de","refreshToken":"old"}"#;
    std::fs::write(scene.path("user.json"), before).unwrap();
    let login = login(&scene).without("GENESYS_CLIENT_ID").env("GENESYS_CLIENT_SECRET", "another client's").start();
    let person = Person(&scene);
    let page = person.opens(&person.decides(&page_of(&login), "allow"));
    let output = login.wait().expect_code(0);
    assert_eq!(page.status, 200);
    // Others could read it before.
    assert!(output.stderr.contains("chmod 600"), "{}", output.stderr);
    let text = std::fs::read_to_string(scene.path("user.json")).unwrap();
    let kept = r#"{"owner":{"team":"quality"},"clientId":"demo","limit":1.50,"clientSecret":"demo","region":"mypurecloud.de","refreshToken":""#;
    assert!(text.starts_with(kept) && !text.contains("old"), "{text}");
    assert_eq!(std::fs::metadata(scene.path("user.json")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn without_a_browser_the_address_is_pasted() {
    let scene = org();
    let person = Person(&scene);
    let paste = || {
        let file = scene.path("user.json").display().to_string();
        scene.command(&["login", "--paste", "--file", &file]).listening().start()
    };
    let mut login = paste();
    let back = person.decides(&page_of(&login), "allow");
    assert_eq!(back.origin().ascii_serialization(), "http://127.0.0.1:8910");
    login.types("what?");
    login.next_line(|line| line.contains("That is not the address"));
    login.types(&format!("  {back} "));
    login.wait().expect_code(0);
    let first = secret(&scene)["refreshToken"].clone();

    let mut login = paste();
    let back = person.decides(&page_of(&login), "allow");
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    login.types(&code);
    login.wait().expect_code(0);
    assert_ne!(secret(&scene)["refreshToken"], first);

    let mut login = paste();
    let back = person.decides(&page_of(&login), "allow");
    login.types(with(&back, "state", "somebody-elses").as_str());
    ended("pasted with another state", &login.wait(), &["wrong state"]);
    let mut login = paste();
    page_of(&login);
    login.falls_silent();
    ended("nothing was pasted", &login.wait(), &["input ended"]);
}

/// It ended with 3, one last line that holds the words, and no tokens.
#[track_caller]
fn ended(what: &str, output: &Output, words: &[&str]) {
    assert_eq!(output.code, Some(3), "{what}: {output:?}");
    let message = output.stderr.lines().last().unwrap_or_default();
    assert!(message.starts_with("callvault: "), "{what}: {output:?}");
    for word in words {
        assert!(message.contains(word), "{what}: no `{word}` in {message}");
    }
}

#[test]
fn what_does_not_belong_to_the_sign_in_ends_it_and_gets_no_token() {
    let scene = org();
    let person = Person(&scene);
    type Case = (&'static str, fn(&Url) -> Url, &'static [&'static str]);
    let cases: [Case; 4] = [
        (
            "another state",
            |back| with(back, "state", "somebody-elses"),
            &["wrong state", "run `callvault login` again"],
        ),
        ("no state", |back| with(back, "state", ""), &["wrong state"]),
        (
            "another code",
            |back| with(back, "code", "somebody-elses"),
            &["invalid_grant", "run `callvault login` again"],
        ),
        (
            "a refusal",
            |back| {
                let mut address = back.clone();
                address.set_query(Some("error=unauthorized_client"));
                address
            },
            &["unauthorized_client", "Code Authorization"],
        ),
    ];
    for (what, change, words) in cases {
        let login = login(&scene).start();
        let page = person.opens(&change(&person.decides(&page_of(&login), "allow")));
        let output = login.wait();
        ended(what, &output, words);
        assert!(page.status == 400 && page.text.contains("did not work"), "{what}: {}", page.text);
        assert!(!scene.path("user.json").exists(), "{what}");
    }
    assert_eq!(scene.requests().operations.get("users-me"), None);
}

#[test]
fn whatever_else_asks_the_listener_changes_nothing() {
    let scene = org();
    let person = Person(&scene);
    let login = login(&scene).start();
    let back = person.decides(&page_of(&login), "allow");
    let at = |path: &str| back.join(path).unwrap();
    for (status, address) in [
        (404, at("/favicon.ico")),
        (404, at("/")),
        (400, at("/callback")),
        (400, at("/callback?state=x")),
        (400, Url::parse(&format!("{back}&code=twice")).unwrap()),
    ] {
        assert_eq!(person.opens(&address).status, status, "{address}");
    }
    assert_eq!(person.sends(Person::client().post(back.clone())).status, 405);
    // A page elsewhere, whose name was made to lead here.
    assert_eq!(person.sends(Person::client().get(back.clone()).header(HOST, "evil.example.com")).status, 421);
    assert_eq!(person.opens(&back).status, 200);
    login.wait().expect_code(0);
}

#[test]
fn who_denies_gets_no_tokens() {
    let scene = org();
    let person = Person(&scene);
    let login = login(&scene).start();
    let page = person.opens(&person.decides(&page_of(&login), "deny"));
    ended("denied", &login.wait(), &["denied", "access_denied"]);
    assert!(page.text.contains("denied"), "{}", page.text);
    assert!(!scene.path("user.json").exists());
}

#[test]
fn a_browser_that_is_closed_is_not_waited_for_for_ever() {
    let scene = org();
    let output = login(&scene).args(["--timeout", "1"]).run();
    ended("closed browser", &output, &["nobody came back", "callvault login"]);
    let login = login(&scene).start();
    page_of(&login);
    login.signal("INT");
    ended("Ctrl-C", &login.wait(), &["interrupted", "nothing was written"]);
}

#[test]
fn a_port_that_is_in_use_is_named_with_what_to_do() {
    let scene = org();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let file = scene.path("user.json").display().to_string();
    let output = scene.command(&["login", "--file", &file, "--port", &port]).run();
    refused("busy port", &output, 3, &[&port, "in use", "--port", "--paste"]);
}

#[test]
fn a_client_that_is_refused_is_named_without_its_secret() {
    let scene = org();
    let person = Person(&scene);
    let login = login(&scene).env("GENESYS_CLIENT_SECRET", "planted-wrong").start();
    let page = person.opens(&person.decides(&page_of(&login), "allow"));
    let output = login.wait();
    ended("wrong secret", &output, &["invalid_client", "demo", "GENESYS_CLIENT_ID"]);
    assert!(!format!("{output:?}{}", page.text).contains("planted"), "{output:?}");
    assert!(!scene.path("user.json").exists());
}

#[test]
fn a_token_endpoint_that_fails_after_the_request_loses_the_code_and_says_so() {
    let scene = org();
    let person = Person(&scene);
    for (fault, words) in [(FaultName::Dropped, "outcome is unknown"), (FaultName::CutJson, "outcome is unknown")] {
        scene.simulator().set_faults([Fault::new(fault).operation("token-code")]);
        let login = login(&scene).start();
        let page = person.opens(&person.decides(&page_of(&login), "allow"));
        ended(words, &login.wait(), &[words, "run `callvault login` again"]);
        assert_eq!(page.status, 400);
    }
    // One that puts us off has spent nothing.
    scene.simulator().set_faults([Fault::new(FaultName::Throttled).operation("token-code").times(1)]);
    let login = login(&scene).start();
    assert_eq!(person.opens(&person.decides(&page_of(&login), "allow")).status, 200);
    login.wait().expect_code(0);
}

#[test]
fn a_token_that_is_not_accepted_is_not_kept() {
    let scene = org();
    let person = Person(&scene);
    std::fs::write(scene.path("user.json"), r#"{"clientId":"demo","clientSecret":"demo","refreshToken":"still good"}"#)
        .unwrap();
    scene.simulator().set_faults([Fault::new(FaultName::ExpiredToken).operation("users-me")]);
    let login = login(&scene).start();
    person.opens(&person.decides(&page_of(&login), "allow"));
    ended("401", &login.wait(), &["does not accept it", "nothing was written"]);
    assert_eq!(secret(&scene)["refreshToken"], "still good");
}

#[test]
fn a_place_that_cannot_take_the_tokens_is_told_before_anybody_signs_in() {
    let scene = org();
    let path = |name: &str| scene.path(name).display().to_string();
    std::fs::create_dir(scene.path("folder")).unwrap();
    std::fs::write(scene.path("other.txt"), "hunter2").unwrap();
    std::fs::write(scene.path("list.json"), r#"["hunter2"]"#).unwrap();
    for (file, code, words) in [
        (path("nowhere/user.json"), 2, ["no folder", "nowhere"]),
        (path("folder"), 3, ["folder", "--file"]),
        (path("other.txt"), 2, ["JSON", "not overwritten"]),
        (path("list.json"), 2, ["JSON", "not overwritten"]),
    ] {
        let output = scene.command(&["login", "--port", "0", "--file", &file]).run();
        assert_eq!(output.code, Some(code), "{file}: {output:?}");
        for word in words {
            assert!(output.stderr.contains(word), "{file}: {output:?}");
        }
        assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
    }
    assert_eq!(std::fs::read_to_string(scene.path("other.txt")).unwrap(), "hunter2");
}

/// The place is lost while the person signs in: the pair exists nowhere else.
#[test]
fn tokens_that_cannot_be_written_are_rescued() {
    let scene = org();
    let person = Person(&scene);
    let home = scene.path("home");
    std::fs::create_dir(&home).unwrap();
    let file = home.join("user.json").display().to_string();
    std::fs::write(&file, r#"{"owner":"quality","clientId":"demo","clientSecret":"demo"}"#).unwrap();
    let login = scene.command(&["login", "--no-browser", "--port", "0", "--file", &file]).start();
    let back = person.decides(&page_of(&login), "allow");
    std::fs::remove_dir_all(&home).unwrap();
    let page = person.opens(&back);
    let output = login.wait();
    let rescue = scene.path("callvault-login-rescue-1.json");
    ended("rescued", &output, &["cannot be written", "callvault-login-rescue-1.json", "mv "]);
    assert_eq!(secret_at(&rescue)["owner"], "quality");
    let token = secret_at(&rescue)["refreshToken"].as_str().unwrap().to_owned();
    assert_eq!(scene.simulator().unspent_refresh_tokens(), [token.as_str()]);
    assert_eq!(std::fs::metadata(&rescue).unwrap().permissions().mode() & 0o777, 0o600);
    says_nothing(&output, &page, &[token]);
}

#[test]
fn usage_says_what_is_missing() {
    let scene = org();
    let file = scene.path("user.json").display().to_string();
    let bare = |args: &[&str]| {
        let mut command = scene.command(&["login"]).args(args);
        for name in ["GENESYS_URL", "GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"] {
            command = command.without(name);
        }
        command
    };
    for (what, command, words) in [
        ("no place", bare(&["--region", "mypurecloud.ie"]), ["--file", "VOICEMAIL_SECRET_ID"]),
        ("two places", bare(&["--file", &file, "--secret", "x"]), ["--file", "--secret"]),
        ("no region", bare(&["--file", &file]), ["--region", "GENESYS_REGION"]),
        ("no such region", bare(&["--file", &file, "--region", "nowhere"]), ["nowhere", "mypurecloud.ie"]),
        ("no client", bare(&["--file", &file, "--region", "eu-west-1"]), ["GENESYS_CLIENT_ID", "terminal"]),
        (
            "an elsewhere",
            bare(&["--file", &file, "--redirect-uri", "https://example.com/"])
                .env("GENESYS_REGION", "mypurecloud.ie")
                .env("GENESYS_CLIENT_ID", "a")
                .env("GENESYS_CLIENT_SECRET", "b"),
            ["this machine", "--paste"],
        ),
        ("a bad url", bare(&["--file", &file]).env("GENESYS_URL", "http://example.com"), ["GENESYS_URL", "https"]),
        ("an empty name", bare(&["--secret", " "]), ["--secret", "empty"]),
    ] {
        refused(what, &command.run(), 2, &words);
    }
    assert!(!scene.path("user.json").exists());
}

/// The setting names the place, a region's hosts are used, and the browser that `BROWSER` names is opened.
#[test]
fn the_setting_names_the_file_and_the_region_its_page() {
    let scene = org();
    let (file, opened) = (scene.path("user.json"), scene.path("opened"));
    let browser = scene.path("browser");
    std::fs::write(&browser, format!("#!/bin/sh\nprintf %s \"$1\" >{}\n", opened.display())).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = scene
        .command(&["login", "--port", "0", "--region", "eu-central-1", "--timeout", "2"])
        .without("GENESYS_URL")
        .env("VOICEMAIL_SECRET_ID", format!("file:{}", file.display()))
        .env("BROWSER", &browser)
        .run();
    ended("region", &output, &["nobody came back"]);
    let page = output.stdout.lines().find(|line| line.starts_with("https://login.mypurecloud.de/oauth/authorize?"));
    assert_eq!(page.unwrap(), std::fs::read_to_string(opened).unwrap());
}

#[test]
fn the_tokens_go_into_a_secret_of_aws_new_or_not() {
    let (scene, moto, name) = (org(), Moto::shared(), unique("user"));
    let person = Person(&scene);
    let client = Client::new(&moto.sdk());
    let value = || {
        let got = scene.block_on(client.get_secret_value().secret_id(&name).send()).unwrap();
        got.secret_string.unwrap()
    };
    let login = |region: &str| {
        let mut command =
            scene.command(&["login", "--no-browser", "--port", "0", "--secret", &name, "--region", region]);
        for (name, value) in moto.environment() {
            command = command.env(name, value);
        }
        command.start()
    };
    let first = login("mypurecloud.ie");
    person.opens(&person.decides(&page_of(&first), "allow"));
    let output = first.wait().expect_code(0);
    assert!(output.stdout.contains("new secret"), "{}", output.stdout);
    let mut document: Value = serde_json::from_str(&value()).unwrap();
    assert_eq!(document["clientId"], "demo");

    document["owner"] = json!(["quality", 1]);
    let text = document.to_string();
    scene.block_on(client.put_secret_value().secret_id(&name).secret_string(text).send()).unwrap();
    let second = login("mypurecloud.ie");
    person.opens(&person.decides(&page_of(&second), "allow"));
    let output = second.wait().expect_code(0);
    assert!(output.stdout.contains(&name) && !output.stdout.contains("new secret"), "{}", output.stdout);
    let after: Value = serde_json::from_str(&value()).unwrap();
    assert_eq!(after["owner"], document["owner"]);
    assert_ne!(after["refreshToken"], document["refreshToken"]);
}

/// Secrets Manager is gone by the time the person is back.
#[test]
fn tokens_that_aws_does_not_take_are_rescued() {
    let (scene, moto, name) = (org(), Moto::start(), unique("user"));
    let person = Person(&scene);
    let client = Client::new(&moto.sdk());
    let text = r#"{"owner":"quality","clientId":"demo","clientSecret":"demo"}"#;
    scene.block_on(client.create_secret().name(&name).secret_string(text).send()).unwrap();
    let mut login = scene.command(&["login", "--no-browser", "--port", "0", "--secret", &name]);
    for (name, value) in moto.environment() {
        login = login.env(name, value);
    }
    let login = login.without("GENESYS_CLIENT_ID").start();
    let back = person.decides(&page_of(&login), "allow");
    drop(moto);
    let page = person.opens(&back);
    let output = login.wait();
    ended("rescued", &output, &[&name, "callvault-login-rescue-1.json", "aws secretsmanager put-secret-value"]);
    let document = secret_at(&scene.path("callvault-login-rescue-1.json"));
    assert_eq!(document["owner"], "quality");
    let token = document["refreshToken"].as_str().unwrap().to_owned();
    assert_eq!(scene.simulator().unspent_refresh_tokens(), [token.as_str()]);
    says_nothing(&output, &page, &[token]);
}

#[test]
fn a_secret_that_cannot_be_asked_for_is_told_before_anybody_signs_in() {
    let scene = org();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = scene
        .command(&["login", "--secret", "callvault/user"])
        .env("AWS_ENDPOINT_URL", format!("http://{nobody}"))
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "testing")
        .env("AWS_SECRET_ACCESS_KEY", "testing")
        .run();
    refused("no Secrets Manager", &output, 3, &["callvault/user", "AWS_REGION"]);
}
