//! `report`: the file it leaves, and what it refuses. How the page looks is for a browser to say (tests/browser).

use std::fs;

use callvault_simulator::Options;
use callvault_tests::binary::scene::{Scene, days_ago, quick};

use crate::refused;

#[test]
fn a_report_tells_the_days_and_nothing_of_callers() {
    let scene = Scene::new(Options { plain: true, days: 2, seed: 41, ..quick(40) });
    scene.export().run().expect_code(0);
    let out = scene.path("report.html");
    fs::write(&out, "what was there before").unwrap();
    let run = || scene.command(&["report", "--out", out.to_str().unwrap()]).run().expect_code(0);
    assert!(run().stdout.contains("report.html"));
    let page = fs::read_to_string(&out).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
    // The org's days, and those since that nobody exported.
    for ago in 1..=3 {
        let day = days_ago(ago).to_string();
        assert_eq!(page.matches(&format!("<tr id=\"d{day}\"")).count(), 1, "{day}");
    }
    let truth = scene.truth();
    for conversation in truth.days.iter().flat_map(|day| &day.conversations) {
        assert!(!page.contains(conversation), "a conversation is named");
    }
    assert!(!page.contains("tel:") && !page.contains("317555"), "a caller is named");
    let parts = fs::read_dir(scene.folder())
        .unwrap()
        .filter(|one| one.as_ref().unwrap().file_name().to_string_lossy().contains(".part"));
    assert_eq!(parts.count(), 0, "something half written is left");
}

#[test]
fn only_the_days_that_were_asked_for_are_told() {
    let scene = Scene::new(Options { plain: true, days: 2, seed: 42, ..quick(3) });
    scene.export().run().expect_code(0);
    let (first, second) = (scene.days()[0].to_string(), scene.days()[1].to_string());
    let out = scene.path("one.html");
    let args = ["report", "--from", &second, "--to", &second, "--out", out.to_str().unwrap()];
    scene.command(&args).run().expect_code(0);
    let page = fs::read_to_string(&out).unwrap();
    assert!(page.contains(&format!("id=\"d{second}\"")) && !page.contains(&first));
    assert!(page.contains("Nothing is parked."), "{page}");
}

#[test]
fn a_place_that_is_no_file_is_refused_and_left_alone() {
    let scene = Scene::new(Options { plain: true, seed: 43, ..quick(1) });
    let report = |out: &str| scene.command(&["report", "--out", out]).run();
    let folder = scene.folder().to_str().unwrap();
    refused("a folder", &report(folder), 2, &["--out", "is a folder"]);
    refused("no such folder", &report("missing/report.html"), 2, &["no folder missing"]);
    refused("no ledger", &report("report.html"), 3, &["ledger"]);
    assert_eq!(fs::read_dir(scene.folder()).unwrap().count(), 0, "something was begun");
    refused("no file", &scene.command(&["report"]).run(), 2, &["--out"]);
    scene.export().run().expect_code(0);
    let args = ["report", "--out", "report.html", "--from", "2026-01-02", "--to", "2026-01-01"];
    refused("the wrong way round", &scene.command(&args).run(), 2, &["--to 2026-01-01", "--from 2026-01-02"]);
}
