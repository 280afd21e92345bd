//! Voicemail: notices and messages, each a row that is decided on by itself, and that no day counts.

use callvault_pipeline::ledger::machine::{Narrowing, Settlement};
use callvault_pipeline::ledger::voicemail::{
    Caller, Carried, FoundVoicemail, Leg, MailboxName, Notice, NoticeFact, Order, VoicemailFact,
};
use callvault_pipeline::ledger::{Fact, Ledger, Listing, Row, RowKey, Settled, Stage};
use callvault_pipeline::reason::Reason;

use super::steps::*;

fn notice(conversation: &str, leg: &str) -> Notice {
    let queue = (leg != "direct").then(|| "queue".parse().unwrap());
    let user = (leg == "direct").then(|| "user".parse().unwrap());
    let leg = Leg { id: leg.to_owned(), queue, group: None, user, at: t(-60) };
    Notice { conversation: id(conversation), day: day(), leg }
}

fn found(conversation: &str, message: &str) -> FoundVoicemail {
    FoundVoicemail {
        conversation: id(conversation),
        message: message.parse().unwrap(),
        day: day(),
        mailbox: MailboxName::Queue("queue".parse().unwrap()),
        created: Some(t(-60)),
        seconds: Some(12),
        caller: Some(Caller { address: Some("tel:+13175550100".to_owned()), name: None }),
    }
}

fn notice_fact(row: &Row) -> &NoticeFact {
    let Fact::Notice(fact) = &row.fact else { panic!("{} is no notice", row.key) };
    fact
}

fn fact(row: &Row) -> &VoicemailFact {
    let Fact::Voicemail(fact) = &row.fact else { panic!("{} is no voicemail", row.key) };
    fact
}

async fn rows(ledger: &dyn Ledger, conversation: &str) -> Vec<Row> {
    ledger.voicemails(&id(conversation)).await.unwrap()
}

fn copied() -> Settlement {
    Settlement::Copied {
        object: object("voicemail/a_m.webm", 7),
        metadata: object("voicemail/a_m.json", 9),
        proved: true,
    }
}

fn park(reason: Reason) -> Settlement {
    Settlement::Parked { reason, detail: "because".to_owned(), objects: Vec::new() }
}

/// However often an event comes, also at once: one row, due once.
pub async fn an_event_is_noted_once(ledger: &dyn Ledger) {
    let notice = notice("a", "leg");
    let all = futures_util::future::join_all((0..50).map(|_| ledger.note_voicemail(&notice, t(0)))).await;
    assert_eq!(all.into_iter().filter(|new| *new.as_ref().unwrap()).count(), 1);
    let [row] = &rows(ledger, "a").await[..] else { panic!("not one row") };
    assert_eq!(
        (row.key.to_string().as_str(), row.day, due(row)),
        ("voicemail/a/", day(), Some((Stage::Voicemail, t(0))))
    );
    assert_eq!(notice_fact(row).legs, [notice.leg]);
    assert!(rows(ledger, "b").await.is_empty());
    assert_eq!(ledger.claimed(Stage::Voicemail, 1).await.len(), 1);
}

/// Another leg is another message: the notice is due again, and whoever looks at it at this moment settles nothing.
pub async fn another_leg_is_looked_for_too(ledger: &dyn Ledger) {
    ledger.note_voicemail(&notice("a", "one"), t(0)).await.unwrap();
    let look = ledger.claimed_one(Stage::Voicemail, 1).await;
    assert!(ledger.note_voicemail(&notice("a", "two"), t(2)).await.unwrap());
    assert_eq!(ledger.settled(&look, Settlement::Found, 3).await, Settled::Stale);
    let look = ledger.claimed_one(Stage::Voicemail, 3).await;
    assert_eq!(notice_fact(&look).legs.len(), 2);
    assert_eq!(ledger.settled(&look, Settlement::Found, 4).await, Settled::Done);
    assert!(!ledger.note_voicemail(&notice("a", "two"), t(5)).await.unwrap());
    assert!(ledger.note_voicemail(&notice("a", "three"), t(6)).await.unwrap(), "after it was found, too");
    assert_eq!(due(&rows(ledger, "a").await[0]), Some((Stage::Voicemail, t(6))));
}

/// Looks are counted apart from tries; what is given up is looked for again when somebody sends the event again.
pub async fn a_notice_waits_is_found_or_is_given_up(ledger: &dyn Ledger) {
    ledger.note_voicemail(&notice("a", "leg"), t(0)).await.unwrap();
    let look = ledger.claimed_one(Stage::Voicemail, 1).await;
    let later = Settlement::NotYet { due: t(9), detail: Some("why".to_owned()) };
    assert_eq!(ledger.settled(&look, later, 2).await, Settled::Done);
    assert!(ledger.claimed(Stage::Voicemail, 8).await.is_empty());
    let look = ledger.claimed_one(Stage::Voicemail, 9).await;
    assert_eq!((notice_fact(&look).looks, notice_fact(&look).detail.as_deref()), (1, Some("why")));
    ledger.settled(&look, park(Reason::NotListed), 10).await;
    let row = &rows(ledger, "a").await[0];
    assert_eq!((row.state_word(), row.reason(), due(row)), ("parked", Some(Reason::NotListed), None));
    assert!(ledger.note_voicemail(&notice("a", "leg"), t(11)).await.unwrap());
    let row = &rows(ledger, "a").await[0];
    assert_eq!((row.state_word(), notice_fact(row).since, notice_fact(row).looks), ("waiting", t(11), 0));
}

/// What was left for one user is nobody else's.
pub async fn a_direct_one_is_out_of_reach(ledger: &dyn Ledger) {
    assert!(ledger.note_voicemail(&notice("a", "direct"), t(0)).await.unwrap());
    let row = &rows(ledger, "a").await[0];
    assert_eq!((row.state_word(), row.reason()), ("left-out", Some(Reason::DirectVoicemail)));
    assert!(ledger.claimed(Stage::Voicemail, 9).await.is_empty());
}

/// What a sweep lists again is left as it is.
pub async fn messages_are_added_once(ledger: &dyn Ledger) {
    let all: Vec<_> = (0..120).map(|n| found(&format!("c{n}"), "m")).collect();
    assert_eq!(ledger.add_voicemails(&all, t(0)).await.unwrap(), 120);
    assert_eq!(ledger.add_voicemails(&all, t(1)).await.unwrap(), 0);
    assert_eq!(ledger.add_voicemails(&[found("c0", "m"), found("c0", "n"), found("c0", "n")], t(2)).await.unwrap(), 1);
    ledger.note_voicemail(&notice("c0", "leg"), t(2)).await.unwrap();
    let keys: Vec<String> = rows(ledger, "c0").await.iter().map(|row| row.key.to_string()).collect();
    assert_eq!(keys, ["voicemail/c0/", "voicemail/c0/m", "voicemail/c0/n"]);
    assert_eq!(rows(ledger, "c").await, [], "and not those of an id that begins the same");
}

/// The copy is written down while the claim goes on; orders follow, and what became of each.
pub async fn a_message_is_copied_then_settled(ledger: &dyn Ledger) {
    ledger.add_voicemails(&[found("a", "m")], t(0)).await.unwrap();
    let claim = ledger.claimed_one(Stage::Voicemail, 1).await;
    assert_eq!(fact(&claim).caller, found("a", "m").caller);
    assert_eq!(ledger.settled(&claim, copied(), 2).await, Settled::Done);
    let row = rows(ledger, "a").await.remove(0);
    assert_eq!((row.state_word(), row.bytes(), row.attempt, &row.work), ("stored", 7, claim.attempt, &claim.work));
    let one = |order, carried| [(order, carried)].into();
    let orders = one(Order::Disconnect, Carried::Refused("no".to_owned()));
    let later = Settlement::OrdersDue { orders, tried: true, due: t(20), detail: "why".to_owned() };
    assert_eq!(ledger.settled(&claim, later, 3).await, Settled::Done);
    let claim = ledger.claimed_one(Stage::Voicemail, 20).await;
    assert_eq!((claim.tries, fact(&claim).looks), (1, 0));
    let unread =
        Settlement::OrdersDue { orders: Default::default(), tried: false, due: t(20), detail: "why".to_owned() };
    assert_eq!(ledger.settled(&claim, unread, 20).await, Settled::Done);
    let claim = ledger.claimed_one(Stage::Voicemail, 20).await;
    assert_eq!((claim.tries, fact(&claim).looks), (1, 1), "no try of the order");
    assert_eq!(ledger.voicemail_counts().await.unwrap().orders_due, 1);
    assert!(!fact(&claim).unproved);
    let moved = Settlement::Moved { orders: one(Order::Delete, Carried::Done) };
    assert_eq!(ledger.settled(&claim, moved.clone(), 21).await, Settled::Done);
    assert_eq!(ledger.settled(&claim, moved, 22).await, Settled::Stale);
    let row = rows(ledger, "a").await.remove(0);
    assert_eq!((fact(&row).orders.len(), &fact(&row).caller, due(&row)), (2, &None, None));
}

/// A copy that is lost is made again; a message that is parked and still listed is tried again after a day.
pub async fn what_is_lost_or_given_up_may_come_again(ledger: &dyn Ledger) {
    ledger.add_voicemails(&[found("a", "m")], t(0)).await.unwrap();
    let claim = ledger.claimed_one(Stage::Voicemail, 1).await;
    ledger.settled(&claim, copied(), 2).await;
    let lost = Settlement::CopyLost {
        orders: [(Order::Disconnect, Carried::Done)].into(),
        due: t(5),
        detail: "gone".to_owned(),
    };
    assert_eq!(ledger.settled(&claim, lost, 3).await, Settled::Done);
    let claim = ledger.claimed_one(Stage::Voicemail, 5).await;
    assert_eq!((claim.state_word(), fact(&claim).copies, &fact(&claim).object), ("waiting", 1, &None));
    assert_eq!((fact(&claim).orders.len(), fact(&claim).since, fact(&claim).looks), (1, t(3), 0));
    ledger.settled(&claim, park(Reason::DownloadFailed), 6).await;
    assert_eq!(ledger.add_voicemails(&[found("a", "m")], t(6 + 86_399)).await.unwrap(), 0);
    assert_eq!(ledger.add_voicemails(&[found("a", "m")], t(6 + 86_400)).await.unwrap(), 1);
    let claim = ledger.claimed_one(Stage::Voicemail, 6 + 86_400).await;
    assert_eq!((claim.state_word(), claim.tries, fact(&claim).since), ("waiting", 0, t(6 + 86_400)));
}

/// Opened again are what is parked, with the whole patience, and orders that were refused or given up; nothing else, and
/// nothing that is not named.
pub async fn what_is_parked_or_refused_is_opened_again(ledger: &dyn Ledger) {
    ledger.note_voicemail(&notice("a", "leg"), t(0)).await.unwrap();
    ledger.note_voicemail(&notice("b", "direct"), t(0)).await.unwrap();
    ledger.add_voicemails(&[found("c", "parked"), found("d", "stored"), found("e", "waiting")], t(0)).await.unwrap();
    let orders = [
        (Order::Disconnect, Carried::Done),
        (Order::MarkRead, Carried::Refused("no".to_owned())),
        (Order::Delete, Carried::GivenUp("archive-failed".to_owned())),
    ];
    for claim in ledger.claimed(Stage::Voicemail, 1).await {
        match claim.key.to_string().as_str() {
            "voicemail/a/" => drop(ledger.settled(&claim, park(Reason::NotListed), 2).await),
            "voicemail/c/parked" => drop(ledger.settled(&claim, park(Reason::MediaNotReady), 2).await),
            "voicemail/d/stored" => {
                ledger.settled(&claim, copied(), 2).await;
                ledger.settled(&claim, Settlement::Moved { orders: orders.clone().into() }, 2).await;
            }
            _ => {}
        }
    }
    let reopen = async |narrowing: Narrowing| ledger.reopen_voicemails(&narrowing, t(9)).await.unwrap();
    let for_reason = |reason| Narrowing { reason: Some(reason), ..Narrowing::default() };
    let of = |conversation: &str| Narrowing { conversation: Some(id(conversation)), ..Narrowing::default() };
    assert_eq!(reopen(for_reason(Reason::Deleted)).await, 0);
    assert_eq!(
        reopen(of("b")).await + reopen(of("e")).await + reopen(of("x")).await,
        0,
        "out of reach, under way, unknown"
    );
    let yesterday = Narrowing { day: Some("2020-01-01".parse().unwrap()), ..Narrowing::default() };
    assert_eq!(reopen(yesterday).await, 0);
    assert_eq!(reopen(of("a")).await, 1);
    let row = rows(ledger, "a").await.remove(0);
    assert_eq!(
        (row.state_word(), notice_fact(&row).since, due(&row)),
        ("waiting", t(9), Some((Stage::Voicemail, t(9))))
    );
    assert_eq!(reopen(for_reason(Reason::ArchiveFailed)).await, 1, "an order that was given up for that");
    let row = rows(ledger, "d").await.remove(0);
    assert_eq!((row.state_word(), fact(&row).orders.len(), due(&row)), ("stored", 2, Some((Stage::Voicemail, t(9)))));
    let everything = Narrowing { day: Some(day()), ..Narrowing::default() };
    assert_eq!(reopen(everything.clone()).await, 1, "what is open already is left as it is");
    let row = rows(ledger, "c").await.remove(0);
    assert_eq!((row.state_word(), fact(&row).since, fact(&row).looks), ("waiting", t(9), 0));
    let claim =
        ledger.claimed(Stage::Voicemail, 10).await.into_iter().find(|row| row.state_word() == "stored").unwrap();
    ledger.settled(&claim, Settlement::Moved { orders: Default::default() }, 11).await;
    assert_eq!(reopen(everything.clone()).await, 1, "the order that was refused");
    let row = rows(ledger, "d").await.remove(0);
    assert_eq!(fact(&row).orders, [(Order::Disconnect, Carried::Done)].into());
    assert_eq!(reopen(everything).await, 0);
}

/// A day is closed whatever becomes of the voicemail that was left on it.
pub async fn no_day_counts_voicemail(ledger: &dyn Ledger) {
    ledger.note_voicemail(&notice("a", "leg"), t(0)).await.unwrap();
    ledger.note_voicemail(&notice("b", "direct"), t(0)).await.unwrap();
    ledger.add_voicemails(&[found("a", "m"), found("b", "n")], t(0)).await.unwrap();
    let row =
        ledger.claimed(Stage::Voicemail, 1).await.into_iter().find(|row| matches!(row.key, RowKey::Voicemail(..)));
    ledger.settled(&row.unwrap(), copied(), 2).await;
    assert!(!ledger.outstanding(day()).await.unwrap());
    assert_eq!(ledger.counts(day()).await.unwrap(), callvault_pipeline::ledger::Counts::default());
    assert!(ledger.list(day(), Listing::All, None, 9).await.unwrap().is_empty());
    assert!(ledger.list(day(), Listing::Parked, None, 9).await.unwrap().is_empty());
    assert!(ledger.conversation(&id("a")).await.unwrap().is_empty());
    assert!(ledger.days().await.unwrap().is_empty());
    let counts = ledger.voicemail_counts().await.unwrap();
    assert_eq!((counts.messages, counts.notices, counts.bytes, counts.orders_due), (2, 2, 7, 1));
    let of = |by: &std::collections::BTreeMap<String, u64>, word: &str| by.get(word).copied().unwrap_or_default();
    assert_eq!((of(&counts.messages_by_state, "stored"), of(&counts.messages_by_state, "waiting")), (1, 1));
    assert_eq!((of(&counts.notices_by_state, "left-out"), of(&counts.by_reason, "direct-voicemail")), (1, 1));
}
