//! Which refresh token of a secret was spent, by whom: one item a secret, written under the condition that nobody has
//! since. Digests only: what is in the table must not sign anybody in.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use callvault_pipeline::ledger::{HolderId, LedgerError};
use callvault_pipeline::rotation::holders::Fingerprint;
use callvault_pipeline::rotation::ports::{Entry, Generation, Lineage, Spending};
use jiff::Timestamp;

use super::item::{Attributes, number, text, version_of};
use super::place::Place;
use super::puts::Put;
use super::{DynamoLedger, schema};

const NUMBER: &str = "generation";
const BASE: &str = "base";
const SPENT: &str = "spent";
const GOT: &str = "got";
const MADE_FOR: &str = "version";
const FROM: &str = "from_version";
const HOLDER: &str = "holder";
const SINCE: &str = "since";
const UNTIL: &str = "until";

#[async_trait]
impl Lineage for DynamoLedger {
    async fn newest(&self, secret: &str) -> Result<Option<Entry>, LedgerError> {
        let place = place(secret);
        let found = self.table.get(&place).await?;
        found.map(|found| read(&place, &found)).transpose()
    }

    async fn write(&self, secret: &str, revision: u64, generation: &Generation) -> Result<Option<u64>, LedgerError> {
        match self.table.put(&place(secret), revision, attributes(generation)).await? {
            Put::Done(revision) => Ok(Some(revision)),
            Put::Lost(_) => Ok(None),
        }
    }
}

fn place(secret: &str) -> Place {
    let key = format!("{}{secret}", schema::ROTATION);
    Place { pk: key.clone(), sk: key }
}

fn attributes(generation: &Generation) -> Attributes {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let time = |time: Timestamp| AttributeValue::N(time.as_millisecond().to_string());
    let mut all = Attributes::from([
        (NUMBER.to_owned(), AttributeValue::N(generation.number.to_string())),
        (schema::STATE.to_owned(), text(generation.state.as_str())),
        (BASE.to_owned(), text(generation.base.as_str())),
        (SPENT.to_owned(), text(generation.spent.as_str())),
        (MADE_FOR.to_owned(), text(&generation.version)),
        (HOLDER.to_owned(), text(&generation.holder.0)),
        (SINCE.to_owned(), time(generation.since)),
        (UNTIL.to_owned(), time(generation.until)),
    ]);
    all.extend(generation.got.as_ref().map(|got| (GOT.to_owned(), text(got.as_str()))));
    all.extend(generation.from.as_ref().map(|from| (FROM.to_owned(), text(from))));
    all
}

fn read(place: &Place, found: &Attributes) -> Result<Entry, LedgerError> {
    let unreadable = |name: &str| LedgerError::Unreadable { key: place.sk.clone(), detail: format!("no `{name}`") };
    let needed = |name: &'static str| text(found, name).ok_or_else(|| unreadable(name));
    let digest =
        |name: &'static str| needed(name).and_then(|text| Fingerprint::read(text).ok_or_else(|| unreadable(name)));
    let time = |name: &'static str| {
        let time = number(found, name).and_then(|time| Timestamp::from_millisecond(time).ok());
        time.ok_or_else(|| unreadable(name))
    };
    let state = needed(schema::STATE)?;
    let state = Spending::ALL.into_iter().find(|known| known.as_str() == state);
    let count = number(found, NUMBER).and_then(|number| u64::try_from(number).ok());
    let generation = Generation {
        number: count.ok_or_else(|| unreadable(NUMBER))?,
        base: digest(BASE)?,
        spent: digest(SPENT)?,
        got: text(found, GOT).and_then(Fingerprint::read),
        state: state.ok_or_else(|| unreadable(schema::STATE))?,
        version: needed(MADE_FOR)?.to_owned(),
        from: text(found, FROM).map(str::to_owned),
        holder: HolderId(needed(HOLDER)?.to_owned()),
        since: time(SINCE)?,
        until: time(UNTIL)?,
    };
    Ok(Entry { revision: version_of(found), generation })
}
