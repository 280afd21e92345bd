//! An item: rows that are written together, with the version that every write is conditional on.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use callvault_pipeline::ledger::{LedgerError, Row, RowKey, Stage, machine};
use callvault_pipeline::reason::Reason;

use super::lanes::{self, Lanes};
use super::place::Place;
use super::schema;
use super::stored::{self, Content};

/// What DynamoDB gives and takes.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// DynamoDB takes no item over 400 KB, names and keys included. No item grows beyond this.
const MOST_BYTES: usize = 380_000;

/// What is claimed or parked is written up to this: it has grown by a few words at most.
const LAST_BYTES: usize = 400_000;

/// An item as it is, or is to be, in the table.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) place: Place,
    /// 0 when it is not there yet.
    pub(super) version: u64,
    pub(super) content: Content,
    pub(super) lanes: Lanes,
    /// Whether this write makes copies due.
    wake: bool,
    /// What its rows may weigh.
    most_bytes: usize,
    /// Seconds since 1970.
    pub(super) expires: Option<i64>,
}

impl Item {
    /// One that is not there yet.
    pub(super) fn new(place: Place) -> Self {
        let (content, lanes) = (Content::default(), Lanes::default());
        Self { place, version: 0, content, lanes, wake: false, most_bytes: MOST_BYTES, expires: None }
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.content.rows
    }

    pub(super) fn row(&self, key: &RowKey) -> Option<&Row> {
        self.rows().iter().find(|row| row.key == *key)
    }

    /// The row that gives the item its name.
    pub(super) fn head(&self) -> Option<&Row> {
        self.rows().iter().find(|row| !matches!(row.key, RowKey::Recording(..)))
    }

    /// The item with `changed` rows.
    pub(super) fn with(&self, changed: &[Row]) -> Self {
        let mut item = self.claimed(changed);
        item.lanes = lanes::of(item.rows(), &self.lanes);
        item.wake = lanes::wakes(&self.lanes, &item.lanes);
        item.most_bytes = MOST_BYTES;
        item.expires = None;
        item
    }

    /// The item with its conversation parked, for one that has no room for what was to be written; `None` where it holds
    /// none.
    pub(super) fn parked(&self, reason: Reason) -> Option<Self> {
        let rows = machine::park_family(self.rows(), reason);
        (!rows.is_empty()).then(|| Self { most_bytes: LAST_BYTES, ..self.with(&rows) })
    }

    /// The item with rows that are claimed now: its entries stay where they are.
    pub(super) fn claimed(&self, changed: &[Row]) -> Self {
        let mut item = self.clone();
        item.wake = false;
        item.most_bytes = LAST_BYTES;
        for row in changed {
            let mut row = row.clone();
            if let Some(work) = &mut row.work {
                work.due = stored::rounded(work.due);
            }
            match item.content.rows.iter_mut().find(|old| old.key == row.key) {
                Some(old) => *old = row,
                None => item.content.rows.push(row),
            }
        }
        item.content.rows.sort_by_cached_key(|row| row.key.to_string());
        item
    }

    /// What is written, but for version and write.
    pub(super) fn attributes(&self) -> Result<Attributes, LedgerError> {
        let rows = stored::encode(&self.place, &self.content).map_err(|detail| self.unreadable(detail))?;
        if rows.len() > self.most_bytes {
            let detail = format!("{} rows are more than a DynamoDB item can hold", self.rows().len());
            return Err(LedgerError::TooLarge { key: self.place.sk.clone(), detail });
        }
        let mut attributes = Attributes::from([(schema::ROWS.to_owned(), AttributeValue::B(Blob::new(rows)))]);
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let number = |n: i64| AttributeValue::N(n.to_string());
        let mut set = |name: &str, value: Option<AttributeValue>| {
            attributes.extend(value.map(|value| (name.to_owned(), value)));
        };
        set(schema::STATE, self.head().map(|row| text(row.state_word())));
        let open = self.place.day_of_family().is_some() && self.rows().iter().any(|row| !row.is_terminal());
        set(schema::OPEN, open.then(|| number(1)));
        set(schema::WORK, self.lanes.work.map(|(stage, _)| text(stage.as_str())));
        set(schema::DUE, self.lanes.work.map(|(_, due)| number(due)));
        set(schema::COPY, self.lanes.copy.map(|_| text(Stage::Upload.as_str())));
        set(schema::COPY_DUE, self.lanes.copy.map(number));
        set(schema::WAKE, self.wake.then(|| text(Stage::Upload.as_str())));
        set(schema::EXPIRES, self.expires.map(number));
        Ok(attributes)
    }

    /// An item as it is read.
    pub(super) fn read(attributes: &Attributes) -> Result<Self, LedgerError> {
        let place = place_of(attributes)?;
        let mut item = Self::new(place);
        item.version = version_of(attributes);
        item.expires = number(attributes, schema::EXPIRES);
        let rows = attributes.get(schema::ROWS).and_then(|value| value.as_b().ok());
        let rows = rows.ok_or_else(|| item.unreadable("it has no rows".to_owned()))?;
        item.content = stored::decode(&item.place, rows.as_ref()).map_err(|detail| item.unreadable(detail))?;
        let stage = text(attributes, schema::WORK);
        let stage = Stage::ALL.into_iter().find(|known| Some(known.as_str()) == stage);
        item.lanes.work = stage.zip(number(attributes, schema::DUE));
        item.lanes.copy = number(attributes, schema::COPY_DUE);
        Ok(item)
    }

    fn unreadable(&self, detail: String) -> LedgerError {
        LedgerError::Unreadable { key: self.place.sk.clone(), detail }
    }
}

/// A text attribute.
pub(crate) fn text<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

/// A whole number.
pub(crate) fn number(attributes: &Attributes, name: &str) -> Option<i64> {
    attributes.get(name).and_then(|value| value.as_n().ok()).and_then(|text| text.parse().ok())
}

/// An item's version; 0 where it has none.
pub(crate) fn version_of(attributes: &Attributes) -> u64 {
    number(attributes, schema::VERSION).and_then(|n| u64::try_from(n).ok()).unwrap_or_default()
}

/// An item's keys.
pub(crate) fn place_of(attributes: &Attributes) -> Result<Place, LedgerError> {
    match (text(attributes, schema::PARTITION), text(attributes, schema::SORT)) {
        (Some(pk), Some(sk)) => Ok(Place { pk: pk.to_owned(), sk: sk.to_owned() }),
        _ => Err(LedgerError::Unusable { detail: "an item without keys: is LEDGER the right table?".to_owned() }),
    }
}
