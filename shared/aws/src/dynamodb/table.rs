//! A table's calls that read: get, get many, query. Knows nothing of rows' meaning: the ledger's table and that of calls
//! share it.
//!
//! The SDK retries what may be retried. What is left to do here: keys that a batch left unprocessed.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{AsyncSleep, SharedAsyncSleep};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, KeysAndAttributes, ReturnConsumedCapacity, Select};
use callvault_pipeline::ledger::{HolderId, LedgerError};
use futures_util::future::{Either, select};

use super::fault;
use super::item::Attributes;
use super::place::Place;
use super::schema;

/// BatchGetItem takes no more keys.
const MOST_KEYS: usize = 100;

/// How often keys that a batch left unprocessed are asked for again.
const MOST_ROUNDS: u32 = 8;

/// How long a lock is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was consumed, as the answers say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Consumed {
    /// Read units: 4 KiB strongly consistent, 8 KiB eventually consistent.
    pub read: f64,
    /// Write units: 1 KiB, in the table or in an index.
    pub write: f64,
    /// Calls of any kind.
    pub calls: u64,
}

/// What is asked of a query.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) index: Option<&'static str>,
    /// Name and value of the partition key.
    pub(crate) partition: (&'static str, String),
    /// A condition on the sort key, with its name and values.
    pub(crate) sort: Option<Condition>,
    /// What is answered of what is read.
    pub(crate) filter: Option<Condition>,
    /// Only this attribute.
    pub(crate) only: Option<&'static str>,
    pub(crate) limit: Option<usize>,
    /// The greatest sort key first.
    pub(crate) backwards: bool,
    pub(crate) start: Option<Attributes>,
    /// Whether it asks for what is there now. Global indexes cannot say.
    pub(crate) consistent: bool,
}

/// An expression over `#name`, with the values it names.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) name: &'static str,
    pub(crate) expression: &'static str,
    pub(crate) values: Vec<(&'static str, AttributeValue)>,
}

impl Ask {
    /// Everything of a partition of the table.
    pub(crate) fn partition(value: String) -> Self {
        let partition = (schema::PARTITION, value);
        Self {
            index: None,
            partition,
            sort: None,
            filter: None,
            only: None,
            limit: None,
            backwards: false,
            start: None,
            consistent: true,
        }
    }
}

impl Condition {
    /// A sort key that begins so.
    pub(crate) fn begins_with(name: &'static str, text: &str) -> Self {
        Self::over(name, "begins_with(#sort, :sort)", text)
    }

    /// This sort key, and what follows it.
    pub(crate) fn from(name: &'static str, text: &str) -> Self {
        Self::over(name, "#sort >= :sort", text)
    }

    /// What stands before this sort key.
    pub(crate) fn before(name: &'static str, text: &str) -> Self {
        Self::over(name, "#sort < :sort", text)
    }

    fn over(name: &'static str, expression: &'static str, text: &str) -> Self {
        Self { name, expression, values: vec![(":sort", AttributeValue::S(text.to_owned()))] }
    }
}

/// What a query gave.
pub(crate) struct Page {
    pub(crate) items: Vec<Attributes>,
    /// Where the next page begins.
    pub(crate) next: Option<Attributes>,
}

/// A table.
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    region: String,
    /// The setting that names it, for advice.
    setting: &'static str,
    sleep: Option<SharedAsyncSleep>,
    chance: Arc<dyn Fn() -> f64 + Send + Sync>,
    consumed: Mutex<Consumed>,
    /// Writes carry this and their number.
    pub(crate) writer: String,
    pub(crate) writes: AtomicU64,
}

impl Table {
    pub(crate) fn new(
        config: &SdkConfig,
        (setting, name): (&'static str, String),
        holder: &HolderId,
        chance: Arc<dyn Fn() -> f64 + Send + Sync>,
    ) -> Self {
        // A token taken for another's would turn a refused write into a success: the holder tells processes apart, the
        // number the ledgers of one process, and chance whoever names its holders badly.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut hasher = DefaultHasher::new();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        (holder, number, chance().to_bits(), chance().to_bits()).hash(&mut hasher);
        Self {
            client: Client::new(config),
            name,
            setting,
            region: config.region().map_or_else(|| "no region".to_owned(), ToString::to_string),
            sleep: config.sleep_impl(),
            chance,
            consumed: Mutex::default(),
            writer: format!("{:x}", hasher.finish()),
            writes: AtomicU64::new(0),
        }
    }

    pub(crate) fn consumed(&self) -> Consumed {
        *self.consumed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// Waits a little, longer the more often it was in vain.
    pub(crate) async fn pause(&self, round: u32) {
        if let Some(sleep) = &self.sleep {
            let most = 0.02 * f64::from(1_u32 << round.min(6));
            sleep.sleep(Duration::from_secs_f64(most * (0.5 + (self.chance)() / 2.0))).await;
        }
    }

    /// What `work` gives, if it does so soon. For locks: whoever holds one may be a future that nobody polls just now,
    /// because its owner waits for us. A lock only saves refused writes; every write is conditional, so nothing depends
    /// on having it.
    pub(crate) async fn soon<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let Some(sleep) = &self.sleep else { return None };
        match select(std::pin::pin!(work), sleep.sleep(PATIENCE)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }

    pub(crate) fn fault<E>(&self, error: &SdkError<E>, operation: &str) -> LedgerError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let of = fault::Of { operation, table: &self.name, region: &self.region, setting: self.setting };
        fault::fault(error, &of)
    }

    pub(crate) fn count<'a>(&self, capacity: impl IntoIterator<Item = &'a ConsumedCapacity>, write: bool) {
        let units: f64 = capacity.into_iter().filter_map(|capacity| capacity.capacity_units).sum();
        let mut consumed = self.consumed.lock().unwrap_or_else(PoisonError::into_inner);
        consumed.calls += 1;
        *if write { &mut consumed.write } else { &mut consumed.read } += units;
    }

    /// What the table is.
    pub(crate) async fn describe(&self) -> Result<Option<aws_sdk_dynamodb::types::TableDescription>, LedgerError> {
        let answer = self.client.describe_table().table_name(&self.name).send().await;
        Ok(answer.map_err(|error| self.fault(&error, "DescribeTable"))?.table)
    }

    /// An item as it is now.
    pub(crate) async fn get(&self, place: &Place) -> Result<Option<Attributes>, LedgerError> {
        let request = self.client.get_item().table_name(&self.name).set_key(Some(keys(place)));
        let request = request.consistent_read(true).return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|error| self.fault(&error, "GetItem"))?;
        self.count(&answer.consumed_capacity, false);
        Ok(answer.item)
    }

    /// Those of the items that are there, in any order.
    pub(crate) async fn get_many(&self, places: &[Place], consistent: bool) -> Result<Vec<Attributes>, LedgerError> {
        let mut found = Vec::with_capacity(places.len());
        for chunk in places.chunks(MOST_KEYS) {
            let mut wanted: Vec<Attributes> = chunk.iter().map(keys).collect();
            for round in 0..MOST_ROUNDS {
                if round > 0 {
                    self.pause(round).await;
                }
                wanted = self.get_some(wanted, consistent, &mut found).await?;
                if wanted.is_empty() {
                    break;
                }
            }
            if !wanted.is_empty() {
                let detail = format!(
                    "DynamoDB left {} items of table {} unread {MOST_ROUNDS} times: it goes on by itself later",
                    wanted.len(),
                    self.name
                );
                return Err(LedgerError::Unusable { detail });
            }
        }
        Ok(found)
    }

    /// One batch; answers the keys it left out.
    async fn get_some(
        &self,
        wanted: Vec<Attributes>,
        consistent: bool,
        found: &mut Vec<Attributes>,
    ) -> Result<Vec<Attributes>, LedgerError> {
        let keys = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(consistent).build();
        let keys = keys.map_err(|error| LedgerError::Unusable { detail: error.to_string() })?;
        let request = self.client.batch_get_item().request_items(&self.name, keys);
        let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|error| self.fault(&error, "BatchGetItem"))?;
        self.count(answer.consumed_capacity(), false);
        found.extend(answer.responses.unwrap_or_default().into_values().flatten());
        Ok(answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|keys| keys.keys).collect())
    }

    /// One page. Over the table it is what is there now; over an index it may be a moment old.
    pub(crate) async fn query(&self, ask: &Ask) -> Result<Page, LedgerError> {
        let (name, value) = &ask.partition;
        let mut condition = "#partition = :partition".to_owned();
        let mut request = self
            .client
            .query()
            .table_name(&self.name)
            .set_index_name(ask.index.map(str::to_owned))
            .consistent_read(ask.consistent)
            .scan_index_forward(!ask.backwards)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .expression_attribute_names("#partition", *name)
            .expression_attribute_values(":partition", AttributeValue::S(value.clone()))
            .set_limit(ask.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
            .set_exclusive_start_key(ask.start.clone());
        if let Some(sort) = &ask.sort {
            condition = format!("{condition} AND {}", sort.expression);
            request = request.expression_attribute_names("#sort", sort.name);
            for (name, value) in &sort.values {
                request = request.expression_attribute_values(*name, value.clone());
            }
        }
        if let Some(filter) = &ask.filter {
            request = request.filter_expression(filter.expression).expression_attribute_names("#filter", filter.name);
            for (name, value) in &filter.values {
                request = request.expression_attribute_values(*name, value.clone());
            }
        }
        if let Some(only) = ask.only {
            request = request.projection_expression("#only").expression_attribute_names("#only", only);
            request = request.select(Select::SpecificAttributes);
        }
        let answer = request.key_condition_expression(condition).send().await;
        let answer = answer.map_err(|error| self.fault(&error, "Query"))?;
        self.count(&answer.consumed_capacity, false);
        Ok(Page { items: answer.items.unwrap_or_default(), next: answer.last_evaluated_key })
    }

    /// Every page of a query.
    pub(crate) async fn query_all(&self, mut ask: Ask) -> Result<Vec<Attributes>, LedgerError> {
        let mut all = Vec::new();
        loop {
            let page = self.query(&ask).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => ask.start = Some(next),
                None => return Ok(all),
            }
        }
    }
}

pub(crate) fn keys(place: &Place) -> Attributes {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    Attributes::from([(schema::PARTITION.to_owned(), text(&place.pk)), (schema::SORT.to_owned(), text(&place.sk))])
}
