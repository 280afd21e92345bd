//! Where an item stands: its two keys. Knows the order of keys; reads and writes nothing.

use callvault_pipeline::day::Day;
use callvault_pipeline::ids::{BatchJobId, ConversationId};
use callvault_pipeline::ledger::RowKey;

use super::schema;

/// Partitions of a day. A day's writes spread over them, and reading it in order asks each once.
pub(super) const SHARDS: u8 = 16;

/// An item's keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Place {
    pub(super) fn day(day: Day) -> Self {
        Self { pk: schema::DAYS.to_owned(), sk: RowKey::Day(day).to_string() }
    }

    /// What people are told of a generation of a day. An item of its own: it is due while its day is, too.
    pub(super) fn notification(day: Day, generation: u32) -> Self {
        Self { pk: schema::DAYS.to_owned(), sk: RowKey::Notification(day, generation).to_string() }
    }

    /// The mark that a day has conversations.
    pub(super) fn known(day: Day) -> Self {
        Self { pk: schema::DAYS.to_owned(), sk: format!("{KNOWN}{day}") }
    }

    pub(super) fn batch(job: &BatchJobId) -> Self {
        let key = RowKey::Batch(job.clone()).to_string();
        Self { pk: key.clone(), sk: key }
    }

    /// A conversation that stands under `day`.
    pub(super) fn family(day: Day, id: &ConversationId) -> Self {
        Self { pk: partition(day, shard(id)), sk: RowKey::Conversation(id.clone()).to_string() }
    }

    /// Of a row about the voicemail of a conversation. Each is an item of its own: they are decided on one by one.
    pub(super) fn voicemail(conversation: &ConversationId, key: &RowKey) -> Self {
        Self { pk: voicemail_partition(shard(conversation)), sk: key.to_string() }
    }

    pub(super) fn bound() -> Self {
        Self { pk: schema::BOUND.to_owned(), sk: schema::BOUND.to_owned() }
    }

    /// The key of the row that gives the item its name: the day, the batch, the conversation.
    pub(super) fn head(&self) -> Result<RowKey, String> {
        self.sk.parse()
    }

    /// The day of a conversation's item.
    pub(super) fn day_of_family(&self) -> Option<Day> {
        self.pk.split_once('#').and_then(|(day, _)| day.parse().ok())
    }
}

/// Marks of days with conversations begin like this.
pub(super) const KNOWN: &str = "known/";

/// One of a day's partitions.
pub(super) fn partition(day: Day, shard: u8) -> String {
    format!("{day}#{shard:x}")
}

/// One of the partitions of all voicemail.
pub(super) fn voicemail_partition(shard: u8) -> String {
    format!("voicemail#{shard:x}")
}

/// Which of a day's partitions a conversation stands in. Ids are mostly hexadecimal, so the first letter spreads them;
/// it never falls as ids rise, so partition after partition is the order of ids.
pub(super) fn shard(id: &ConversationId) -> u8 {
    match id.as_str().bytes().next().unwrap_or_default() {
        byte @ b'0'..=b'9' => byte - b'0',
        byte @ b'a'..=b'f' => byte - b'a' + 10,
        byte if byte < b'0' => 0,
        byte if byte < b'a' => 9,
        _ => SHARDS - 1,
    }
}

/// The days around `day`, it first: those a conversation found for it may stand under.
pub(super) fn around(day: Day) -> Vec<Day> {
    let before = day.date().yesterday().ok().map(Day::new);
    [Some(day), before, day.next()].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_after_partition_is_the_order_of_ids() {
        let letters: Vec<char> = ('0'..='9').chain('A'..='Z').chain('a'..='z').collect();
        let shards: Vec<u8> = letters.iter().map(|letter| shard(&letter.to_string().parse().unwrap())).collect();
        assert!(shards.is_sorted(), "{shards:?}");
        let used: std::collections::BTreeSet<u8> =
            "0123456789abcdef".chars().map(|c| shard(&c.to_string().parse().unwrap())).collect();
        assert_eq!(used, (0..SHARDS).collect(), "UUIDs use them all");
    }

    #[test]
    fn a_family_says_its_day_and_nothing_else_does() {
        let day: Day = "2026-01-20".parse().unwrap();
        assert_eq!(Place::family(day, &"b7".parse().unwrap()).day_of_family(), Some(day));
        assert_eq!(Place::family(day, &"b7".parse().unwrap()).pk, "2026-01-20#b");
        let (id, message) = ("b7".parse().unwrap(), "m".parse().unwrap());
        let voicemail = Place::voicemail(&id, &RowKey::Voicemail(id.clone(), message));
        assert_eq!((voicemail.pk.as_str(), voicemail.sk.as_str()), ("voicemail#b", "voicemail/b7/m"));
        for other in
            [Place::day(day), Place::known(day), Place::bound(), Place::batch(&"j".parse().unwrap()), voicemail]
        {
            assert_eq!(other.day_of_family(), None, "{other:?}");
        }
    }

    #[test]
    fn a_day_has_two_neighbours() {
        let around: Vec<String> = around("2026-03-01".parse().unwrap()).iter().map(ToString::to_string).collect();
        assert_eq!(around, ["2026-03-01", "2026-02-28", "2026-03-02"]);
    }
}
