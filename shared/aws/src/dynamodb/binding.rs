//! What the ledger was made for, and whether the table is one of ours.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeySchemaElement};
use callvault_pipeline::ledger::LedgerError;

use super::item::{Attributes, version_of};
use super::place::Place;
use super::puts::Put;
use super::{DynamoLedger, schema};

/// How often it is tried against others who bind the ledger at the same time.
const MOST_TRIES: u32 = 20;

impl DynamoLedger {
    /// Whether there is a table with the keys and indexes of [`schema`].
    ///
    /// # Errors
    /// [`LedgerError`] when there is none, or it is another one, or AWS does not let us look.
    pub async fn check(&self) -> Result<(), LedgerError> {
        let wrong = |what: &str| LedgerError::Unusable {
            detail: format!(
                "table {} in {} has no {what}: it is not a callvault ledger, or an older one: check LEDGER",
                self.table.name(),
                self.table.region()
            ),
        };
        let table = self.table.describe().await?.ok_or_else(|| wrong("description"))?;
        if !are_keys(table.key_schema(), [schema::PARTITION, schema::SORT]) {
            return Err(wrong(&format!("keys {} and {}", schema::PARTITION, schema::SORT)));
        }
        let wanted =
            [(schema::WORK_INDEX, [schema::WORK, schema::DUE]), (schema::COPY_INDEX, [schema::COPY, schema::COPY_DUE])];
        for (name, keys) in wanted {
            let mut indexes = table.global_secondary_indexes().iter();
            if !indexes.any(|index| index.index_name() == Some(name) && are_keys(index.key_schema(), keys)) {
                return Err(wrong(&format!("index {name} over {} and {}", keys[0], keys[1])));
            }
        }
        Ok(())
    }

    /// Whether the table may be written, and which names of a binding to `to` differ. Writes nothing: the write is one
    /// whose condition cannot hold.
    ///
    /// # Errors
    /// [`LedgerError`] when the table may not be written.
    pub async fn check_write(&self, to: &[(&'static str, String)]) -> Result<Vec<(&'static str, String)>, LedgerError> {
        // No item has been written so often.
        const NEVER: u64 = 1 << 60;
        match self.table.put(&Place::bound(), NEVER, Attributes::new()).await? {
            Put::Lost(Some(found)) => Ok(differing(to, &values(&found))),
            Put::Lost(None) | Put::Done(_) => Ok(Vec::new()),
        }
    }

    /// Binds the ledger to what its rows are true of (an archive, a layout, a time zone...): the first to open it says
    /// what that is, and whoever comes later must say the same. Answers the names that differ, with the value the
    /// ledger was made for.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read or written.
    pub async fn bind(&self, to: &[(&'static str, String)]) -> Result<Vec<(&'static str, String)>, LedgerError> {
        let place = Place::bound();
        let mut found = self.table.get(&place).await?;
        for _ in 0..MOST_TRIES {
            let version = found.as_ref().map(version_of).unwrap_or_default();
            let bound = found.as_ref().map(values).unwrap_or_default();
            let differing = differing(to, &bound);
            let mut all = bound.clone();
            for (name, value) in to {
                all.entry((*name).to_owned()).or_insert_with(|| value.clone());
            }
            if all.len() == bound.len() {
                return Ok(differing);
            }
            let all = all.into_iter().map(|(name, value)| (name, AttributeValue::S(value))).collect();
            let content = Attributes::from([(schema::VALUES.to_owned(), AttributeValue::M(all))]);
            match self.table.put(&place, version, content).await? {
                Put::Done(_) => return Ok(differing),
                Put::Lost(now) => found = now,
            }
        }
        Err(LedgerError::Unusable { detail: "others bind the ledger all the time: run again".to_owned() })
    }
}

/// The names of `to` that are bound to something else, with what they are bound to.
fn differing(to: &[(&'static str, String)], bound: &HashMap<String, String>) -> Vec<(&'static str, String)> {
    let differing = to.iter().filter_map(|(name, value)| {
        bound.get(*name).filter(|bound| *bound != value).map(|bound| (*name, bound.clone()))
    });
    differing.collect()
}

fn values(item: &Attributes) -> HashMap<String, String> {
    let values = item.get(schema::VALUES).and_then(|values| values.as_m().ok());
    let texts =
        values.into_iter().flatten().filter_map(|(name, value)| Some((name.clone(), value.as_s().ok()?.clone())));
    texts.collect()
}

fn are_keys(schema: &[KeySchemaElement], names: [&str; 2]) -> bool {
    schema.iter().map(KeySchemaElement::attribute_name).eq(names)
}
