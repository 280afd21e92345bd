//! What calls consume, by the rules of AWS's documentation ("Read and write operations", "Global secondary indexes":
//! developer guide, read in 2026): the stand-in's own figures are always 1.
//!
//! A write costs a unit for each KiB of the larger of the item before and after; each index entry that is put or deleted
//! costs one more, one that moves costs two. A read costs a unit for each 4 KiB, half of that when it need not be
//! current; each item of a batch is rounded up, a query as a whole. What is not there costs as much as the smallest.

use std::collections::HashMap;

use callvault_aws::calls::schema as calls;
use callvault_aws::dynamodb::schema;
use serde_json::{Map, Value};

use super::Call;

/// Read and write units.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Units {
    /// Read units.
    pub read: f64,
    /// Write units.
    pub write: f64,
    /// The largest conversation or call written, in bytes.
    pub largest: usize,
}

#[derive(Default)]
pub(super) struct Meter {
    items: HashMap<(String, String, String), Map<String, Value>>,
    units: Units,
}

impl Meter {
    pub(super) fn units(&self) -> Units {
        self.units
    }

    /// What is billed as kept: 100 bytes more for each item than it has.
    pub(super) fn bytes(&self) -> usize {
        self.items.values().map(|item| size(item) + 100).sum()
    }

    pub(super) fn count(&mut self, call: &Call, status: u16, answer: &Value) {
        match call.operation.as_str() {
            "PutItem" => self.put(&call.body, status),
            // A counter.
            "UpdateItem" => self.units.write += 1.0,
            "GetItem" => self.units.read += read_units(size_of(&answer["Item"]), &call.body),
            "BatchGetItem" => self.batch(&call.body, answer),
            "Query" => self.query(&call.body, answer),
            _ => {}
        }
    }

    fn put(&mut self, body: &Value, status: u16) {
        let new = body["Item"].as_object().cloned().unwrap_or_default();
        let key = key_of(&body["TableName"], &body["Item"]);
        let old = self.items.get(&key).cloned();
        let before = old.as_ref().map(size).unwrap_or_default();
        if status != 200 {
            self.units.write += kib(before);
            return;
        }
        self.units.write += kib(size(&new).max(before));
        if key.2.starts_with("conversation/") || key.2 == calls::ROW {
            self.units.largest = self.units.largest.max(size(&new));
        }
        let old = old.unwrap_or_default();
        if new.contains_key(calls::NUMBER) {
            // An index that holds everything.
            self.units.write += kib(size(&new));
        }
        let of_ledger = [[schema::WORK, schema::DUE], [schema::COPY, schema::COPY_DUE]];
        let of_calls = [[calls::LIST, calls::ID], [calls::STATE, calls::ID]];
        for names in of_ledger.into_iter().chain(of_calls) {
            let entry = |item: &Map<String, Value>| {
                item.get(names[0]).zip(item.get(names[1])).map(|(a, b)| (a.clone(), b.clone()))
            };
            self.units.write += match (entry(&old), entry(&new)) {
                (before, after) if before == after => 0.0,
                (Some(_), Some(_)) => 2.0,
                _ => 1.0,
            };
        }
        self.items.insert(key, new);
    }

    fn batch(&mut self, body: &Value, answer: &Value) {
        for (table, asked) in body["RequestItems"].as_object().into_iter().flatten() {
            let found = answer["Responses"][table].as_array().cloned().unwrap_or_default();
            let asked_for = asked["Keys"].as_array().map_or(0, Vec::len);
            let read: f64 = found.iter().map(|item| read_units(size_of(item), asked)).sum();
            self.units.read += read + read_units(0, asked) * (asked_for - found.len()) as f64;
        }
    }

    /// Over the table a query reads whole items, whatever it shows of them: at most all of the partition.
    fn query(&mut self, body: &Value, answer: &Value) {
        let shown = answer["Items"].as_array().into_iter().flatten().map(size_of).sum();
        let names = &body["ExpressionAttributeValues"][":partition"]["S"];
        let all: usize = self.items.iter().filter(|(key, _)| *names == key.1).map(|(_, item)| size(item)).sum();
        let read = if body["IndexName"].is_string() { shown } else { all };
        self.units.read += read_units(read, body);
    }
}

fn key_of(table: &Value, item: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(table), text(&item[schema::PARTITION]["S"]), text(&item[schema::SORT]["S"]))
}

fn kib(bytes: usize) -> f64 {
    bytes.div_ceil(1024).max(1) as f64
}

fn read_units(bytes: usize, asked: &Value) -> f64 {
    let units = bytes.div_ceil(4096).max(1) as f64;
    if asked["ConsistentRead"].as_bool() == Some(true) { units } else { units / 2.0 }
}

fn size_of(item: &Value) -> usize {
    item.as_object().map(size).unwrap_or_default()
}

/// Names and values: texts by their bytes, numbers by half their digits and one, binaries without their encoding.
fn size(item: &Map<String, Value>) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|object| object.iter().next()) else { return 1 };
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => text.len(),
        ("N", Value::String(digits)) => digits.len().div_ceil(2) + 1,
        ("B", Value::String(encoded)) => encoded.len() * 3 / 4,
        ("M", Value::Object(map)) => 3 + size(map) + map.len(),
        _ => 1,
    }
}
