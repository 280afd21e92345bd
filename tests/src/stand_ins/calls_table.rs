//! The table of calls, made as the template makes it.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, LocalSecondaryIndex, Projection, ProjectionType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};
use callvault_aws::calls::schema;

use super::table::{index, keys};

/// Makes an empty table `name` with the keys, indexes and stream of calls.
pub async fn create(sdk: &SdkConfig, name: &str) {
    let text = [schema::PARTITION, schema::SORT, schema::LIST, schema::STATE];
    let defined = text.map(|name| (name, ScalarAttributeType::S)).into_iter();
    let defined = defined.chain([schema::NUMBER, schema::ID].map(|name| (name, ScalarAttributeType::N)));
    let defined = defined
        .map(|(name, kind)| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap());
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
    let events = LocalSecondaryIndex::builder()
        .index_name(schema::EVENTS_INDEX)
        .set_key_schema(Some(keys(schema::PARTITION, schema::NUMBER)))
        .projection(Projection::builder().projection_type(ProjectionType::All).build());
    let created = Client::new(sdk)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(defined.collect()))
        .set_key_schema(Some(keys(schema::PARTITION, schema::SORT)))
        .local_secondary_indexes(events.build().unwrap())
        .global_secondary_indexes(index(schema::LIST_INDEX, schema::LIST, schema::ID))
        .global_secondary_indexes(index(schema::STATE_INDEX, schema::STATE, schema::ID))
        .stream_specification(stream.build().unwrap())
        .send()
        .await;
    // Names are unique: one that is there already was made by an attempt whose answer did not come.
    let there = created.as_ref().is_err_and(|e| e.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()));
    assert!(created.is_ok() || there, "{created:?}");
}
