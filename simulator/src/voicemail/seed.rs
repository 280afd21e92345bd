//! The voicemail of the org's days.
//!
//! A pure function of options and org, with a stream of chance of its own: it must never change what `cast` makes.

use jiff::Timestamp;

use super::{Holder, Voicemail};
use crate::chance::Chance;
use crate::options::Options;
use crate::org::Org;

/// The messages of all days; none for a plain org.
pub(super) fn messages(options: &Options, org: &Org) -> Vec<Voicemail> {
    let mut messages = Vec::new();
    if options.plain {
        return messages;
    }
    for conversation in org.conversations.iter().filter(|c| c.voicemail) {
        let mut chance = Chance::new(options.seed, &format!("voicemail of {}", conversation.id));
        let holder = Holder::Queue(org.places.queues[conversation.queue % org.places.queues.len()].clone());
        let left = conversation.end.unwrap_or(conversation.start);
        let mut message = Voicemail::of(&mut chance, holder, left);
        message.conversation.clone_from(&conversation.id);
        messages.push(message);
    }
    if options.voicemails == 0 {
        return messages;
    }
    for date in &org.days {
        let mut chance = Chance::new(options.seed, &format!("voicemail {date}"));
        let Ok(midnight) = date.to_zoned(options.time_zone.clone()) else {
            continue; // the days were made of these already
        };
        let queues = org.places.queues.iter().cloned().map(Holder::Queue);
        let groups = org.places.groups.iter().cloned().map(Holder::Group);
        for holder in queues.chain(groups) {
            for n in 0..options.voicemails {
                let left = moment(&mut chance, &midnight);
                let mut message = Voicemail::of(&mut chance, holder.clone(), left);
                // Each of the traps in some, whatever the seed.
                message.ours = n % 2 == 0;
                message.slow = n % 3 == 1;
                messages.push(message);
            }
        }
        let agent = chance.pick(&org.places.agents).clone();
        let left = moment(&mut chance, &midnight);
        messages.push(Voicemail::of(&mut chance, Holder::User(agent), left));
    }
    messages
}

/// Some time between eight and eight.
fn moment(chance: &mut Chance, midnight: &jiff::Zoned) -> Timestamp {
    let hour = 3_600_000;
    let offset = i64::try_from(chance.between(8 * hour, 20 * hour)).unwrap_or(0);
    Timestamp::from_millisecond(midnight.timestamp().as_millisecond() + offset).unwrap_or(Timestamp::MAX)
}
