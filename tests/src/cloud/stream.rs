//! The table's stream, as Lambda's event source mapping reads it: moto's records, filtered, in Lambda's event form.

#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use serde_json::{Map, Value, json};

/// Reads a table's stream from its beginning.
pub struct Reader {
    http: reqwest::Client,
    url: String,
    arn: String,
    iterators: Vec<String>,
    wakes: fn(&Value) -> bool,
}

impl Reader {
    /// Finds the stream of a ledger's table and its shards.
    pub async fn new(moto: &str, table: &str) -> Self {
        Self::filtered(moto, table, wakes_upload).await
    }

    /// The same of any table, with the filter of its function.
    pub async fn filtered(moto: &str, table: &str, wakes: fn(&Value) -> bool) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut reader = Self { http, url: moto.to_owned(), arn: String::new(), iterators: Vec::new(), wakes };
        let streams = reader.ask("ListStreams", json!({ "TableName": table })).await;
        reader.arn = streams["Streams"][0]["StreamArn"].as_str().unwrap().to_owned();
        let stream = reader.ask("DescribeStream", json!({ "StreamArn": reader.arn })).await;
        for shard in stream["StreamDescription"]["Shards"].as_array().unwrap() {
            let from = json!({
                "StreamArn": reader.arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON",
            });
            let iterator = reader.ask("GetShardIterator", from).await;
            reader.iterators.push(iterator["ShardIterator"].as_str().unwrap().to_owned());
        }
        reader
    }

    /// New records that the template's filter lets through, at most 100.
    pub async fn next(&mut self) -> Vec<Value> {
        let mut found = Vec::new();
        for n in 0..self.iterators.len() {
            let from = json!({ "ShardIterator": self.iterators[n], "Limit": 100 });
            let page = self.ask("GetRecords", from).await;
            if let Some(next) = page["NextShardIterator"].as_str() {
                self.iterators[n] = next.to_owned();
            }
            found.extend(
                page["Records"].as_array().into_iter().flatten().filter(|r| (self.wakes)(r)).map(|r| self.event(r)),
            );
        }
        found
    }

    /// A record as Lambda hands it over.
    fn event(&self, record: &Value) -> Value {
        let mut event: Map<String, Value> = record.as_object().cloned().unwrap_or_default();
        event.insert("eventSource".to_owned(), json!("aws:dynamodb"));
        event.insert("eventVersion".to_owned(), json!("1.1"));
        event.insert("awsRegion".to_owned(), json!("eu-west-1"));
        event.insert("eventSourceARN".to_owned(), json!(self.arn));
        Value::Object(event)
    }

    async fn ask(&self, operation: &str, body: Value) -> Value {
        let target = format!("DynamoDBStreams_20120810.{operation}");
        // moto wants to see which service and region are meant; it does not check the signature.
        let scope = "AWS4-HMAC-SHA256 Credential=testing/20260120/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
        let request = self.http.post(&self.url).header("X-Amz-Target", target).header("Authorization", scope);
        let request = request.header("Content-Type", "application/x-amz-json-1.0").body(body.to_string());
        let answer = request.send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

/// The filter of push-calls in `template.yaml`.
pub fn wakes_push(record: &Value) -> bool {
    let tell = &record["dynamodb"]["NewImage"]["tell"]["S"];
    tell == "call" || (tell == "connection" && record["eventName"] == "INSERT")
}

/// The filter of upload-recordings in `template.yaml`.
fn wakes_upload(record: &Value) -> bool {
    record["dynamodb"]["NewImage"]["wake"]["S"] == "upload"
}
