//! The ledger's table, made as the template makes it.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType,
};
use callvault_aws::dynamodb::schema;

/// Makes an empty table `name` with the keys, indexes and stream of a ledger.
pub async fn create(sdk: &SdkConfig, name: &str) {
    let text = [schema::PARTITION, schema::SORT, schema::WORK, schema::COPY];
    let defined = text.map(|name| (name, ScalarAttributeType::S)).into_iter();
    let defined = defined.chain([schema::DUE, schema::COPY_DUE].map(|name| (name, ScalarAttributeType::N)));
    let defined = defined
        .map(|(name, kind)| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap());
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
    let created = Client::new(sdk)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(defined.collect()))
        .set_key_schema(Some(keys(schema::PARTITION, schema::SORT)))
        .global_secondary_indexes(index(schema::WORK_INDEX, schema::WORK, schema::DUE))
        .global_secondary_indexes(index(schema::COPY_INDEX, schema::COPY, schema::COPY_DUE))
        .stream_specification(stream.build().unwrap())
        .send()
        .await;
    // Names are unique: one that is there already was made by an attempt whose answer did not come.
    let there = created.as_ref().is_err_and(|e| e.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()));
    assert!(created.is_ok() || there, "{created:?}");
}

pub(super) fn keys(hash: &str, range: &str) -> Vec<KeySchemaElement> {
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    vec![key(hash, KeyType::Hash), key(range, KeyType::Range)]
}

pub(super) fn index(name: &str, hash: &str, range: &str) -> GlobalSecondaryIndex {
    let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .set_key_schema(Some(keys(hash, range)))
        .projection(projection)
        .build()
        .unwrap()
}
