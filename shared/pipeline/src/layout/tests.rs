//! Keys, and layouts that are refused.

use super::*;
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn layout(template: &str) -> Layout {
    Layout::new(template.parse().unwrap(), "brave", Calendar::new(TimeZone::get("America/Lima").unwrap()))
}

fn key(layout: &Layout, conversation: &str, recording: &str, ext: &str, variant: Option<&str>) -> String {
    let (conversation, recording) = (conversation.parse().unwrap(), recording.parse().unwrap());
    let day = "2023-02-03".parse().unwrap();
    let start = "2023-02-03T05:00:00Z".parse().ok();
    let placed =
        Placed { day, start, kind: Kind::Call, conversation: &conversation, recording: &recording, ext, variant };
    layout.recording(&placed).unwrap().to_string()
}

#[test]
fn the_presets_give_the_documented_keys() {
    let day = layout("day");
    assert_eq!(key(&day, "c1", "r1", "ogg", None), "brave/2023-02-03/call/c1_r1.ogg");
    assert_eq!(key(&day, "c1", "r1", "ogg", Some("abc")), "brave/2023-02-03/call/c1_r1_abc.ogg");
    assert_eq!(day.folder("2023-02-03".parse().unwrap()), "brave/2023-02-03/");
    let hive = layout("hive");
    let wanted = "brave/year=2023/month=02/day=03/hour=00/conversation_id=c1/r1.ogg";
    assert_eq!(key(&hive, "c1", "r1", "ogg", None), wanted);
    assert_eq!(hive.folder("2023-02-03".parse().unwrap()), "brave/year=2023/month=02/day=03/");
    let marker = hive.of_day("2023-02-03".parse().unwrap(), "_SUCCESS").unwrap();
    assert_eq!(marker.as_str(), "brave/year=2023/month=02/day=03/_SUCCESS");
}

#[test]
fn voicemail_has_a_folder_of_its_own_in_every_layout() {
    let key = |template: &str, variant| {
        let (conversation, message) = ("c1".parse().unwrap(), "m1".parse().unwrap());
        let (day, created) = ("2023-02-03".parse().unwrap(), "2023-02-03T05:00:00Z".parse().ok());
        let placed =
            PlacedVoicemail { day, created, conversation: &conversation, message: &message, ext: "webm", variant };
        layout(template).voicemail(&placed).unwrap().to_string()
    };
    assert_eq!(key("day", None), "brave/2023-02-03/voicemail/c1_m1.webm");
    assert_eq!(key("day", Some("abc")), "brave/2023-02-03/voicemail/c1_m1_abc.webm");
    let wanted = "brave/year=2023/month=02/day=03/voicemail/hour=00/conversation_id=c1/m1.webm";
    assert_eq!(key("hive", None), wanted);
    assert_eq!(key("{env}_{day}_x/{conversation}/{recording}.{ext}", None), "brave_2023-02-03_x/voicemail/c1/m1.webm");
    assert_eq!(key("{day}/{ext}/{kind}={conversation}_{recording}", None), "2023-02-03/webm/voicemail=c1_m1");
}

#[test]
fn the_default_is_the_preset_day() {
    assert_eq!(Template::default(), "day".parse().unwrap());
    assert_eq!(Template::default(), DAY.parse().unwrap());
    assert_eq!((layout("day").to_string(), layout("hive").to_string()), (DAY.to_owned(), HIVE.to_owned()));
}

#[test]
fn layouts_that_could_blur_two_recordings_or_two_days_are_refused() {
    use LayoutError as E;
    let refused = [
        ("{env}/{day}/{recording}.{ext}", E::Missing("conversation")),
        ("{env}/{day}/{conversation}.{ext}", E::Missing("recording")),
        ("{env}/{day}/{conversation}_{recording}", E::Missing("ext")),
        ("{env}/{day}/{conversation}{recording}.{ext}", E::Touching),
        ("{env}/{day}/{conversation}-{recording}.{ext}", E::Touching),
        ("{env}/{day}/{conversation}_x{recording}.{ext}", E::Touching),
        ("{env}/{kind}/{day}/{conversation}_{recording}.{ext}", E::NoDayFolder),
        ("{env}/{conversation}_{recording}.{ext}", E::NoDayFolder),
        ("{env}/{year}/{month}/{conversation}_{recording}.{ext}", E::NoDayFolder),
        ("{env}/{day}/{conversation}_{recording}_{recording}.{ext}", E::Repeated("recording")),
        ("{env}/{day}/../{conversation}_{recording}.{ext}", E::IllegalText),
        ("/{day}/{conversation}_{recording}.{ext}", E::IllegalText),
        ("{day}//{conversation}_{recording}.{ext}", E::IllegalText),
        ("{env}/{date}/{conversation}_{recording}.{ext}", E::UnknownPlaceholder("date".into())),
        ("{env}/{day/{conversation}_{recording}.{ext}", E::UnknownPlaceholder("day/{conversation".into())),
        ("{env}/day}/{conversation}_{recording}.{ext}", E::Unbalanced),
    ];
    for (template, why) in refused {
        assert_eq!(template.parse::<Template>().unwrap_err(), why, "{template}");
    }
}

proptest! {
    /// Different recordings, extensions or variants never share a key, whatever the accepted layout.
    #[test]
    fn keys_are_distinct(
        a in ("[a-c-]{0,2}[ab]", "[a-c][a-c-]{0,2}", "ogg|json", proptest::option::of("[ab]{1,2}")),
        b in ("[a-c-]{0,2}[ab]", "[a-c][a-c-]{0,2}", "ogg|json", proptest::option::of("[ab]{1,2}")),
        which in 0_usize..4,
    ) {
        let template = ["day", "hive", "{day}/{conversation}/{recording}.{ext}", "x/{env}_{day}/{ext}/{recording}.{conversation}"][which];
        let layout = layout(template);
        let fix = |s: &str| format!("i{s}");
        let one = key(&layout, &fix(&a.0), &fix(&a.1), &a.2, a.3.as_deref());
        let two = key(&layout, &fix(&b.0), &fix(&b.1), &b.2, b.3.as_deref());
        prop_assert_eq!(a == b, one == two);
    }
}
