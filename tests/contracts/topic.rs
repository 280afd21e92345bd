//! A topic of SNS is told of closed days: over moto, where a queue is subscribed to it.

use callvault_aws::topic::Topic;
use callvault_pipeline::notification::{Announcer, Message};
use callvault_tests::stand_ins::moto::{Moto, unique};
use serde_json::Value;

/// Calls a service of moto by its query protocol, and answers its text.
async fn call(moto: &Moto, service: &str, form: &[(&str, &str)]) -> String {
    let credential = format!("Credential=testing/20260101/eu-west-1/{service}/aws4_request");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(moto.url()).form(form);
    let signed = format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0");
    request.header("authorization", signed).send().await.unwrap().text().await.unwrap()
}

/// What stands in an element of XML.
fn element(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {text}"));
    rest.split_once("</").unwrap().0.to_owned()
}

fn message(day: &str) -> Message {
    Message {
        key: format!("callvault/prod/{day}/1"),
        title: "title".to_owned(),
        subject: format!("Días {day}"),
        priority: "p".to_owned(),
        html: "<b>html</b>".to_owned(),
        text: "everything is stored\nmanifest: s3://vault/m".to_owned(),
        to: Vec::new(),
    }
}

/// A topic with a queue behind it: the topic's ARN and the queue's URL.
async fn subscribed(moto: &Moto, name: &str) -> (String, String) {
    let topic = element(&call(moto, "sns", &[("Action", "CreateTopic"), ("Name", name)]).await, "TopicArn");
    let queue = element(&call(moto, "sqs", &[("Action", "CreateQueue"), ("QueueName", name)]).await, "QueueUrl");
    let arn = topic.replace(":sns:", ":sqs:");
    let subscribe = [("Action", "Subscribe"), ("TopicArn", &topic), ("Protocol", "sqs"), ("Endpoint", &arn)];
    call(moto, "sns", &subscribe).await;
    (topic, queue)
}

#[tokio::test]
async fn subscribers_get_the_text_and_a_subject_that_sns_takes() {
    let moto = Moto::shared();
    let (arn, queue) = subscribed(&moto, &unique("days")).await;
    Topic::new(&moto.sdk(), &arn).send(&message("2026-01-20")).await.unwrap();
    let received = call(&moto, "sqs", &[("Action", "ReceiveMessage"), ("QueueUrl", &queue)]).await;
    let body = element(&received, "Body").replace("&quot;", "\"");
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert_eq!((&body["Subject"], &body["TopicArn"]), (&"D as 2026-01-20".into(), &arn.as_str().into()));
    assert_eq!(body["Message"], "everything is stored\nmanifest: s3://vault/m");
}

#[tokio::test]
async fn a_topic_that_is_not_there_says_so() {
    let moto = Moto::shared();
    let arn = "arn:aws:sns:eu-west-1:123456789012:nowhere";
    let error = Topic::new(&moto.sdk(), arn).send(&message("2026-01-20")).await.unwrap_err();
    assert_eq!(error.code, "topic-refused");
    assert!(error.to_string().contains("NotFound"), "{error}");
}

#[tokio::test]
async fn what_is_not_answered_is_sent_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = std::thread::spawn(move || {
        // Every connection ends without an answer; the last one says that nobody else comes.
        let mut heard = 0;
        for stream in listener.incoming() {
            let mut first = [0; 1];
            match std::io::Read::read(&mut stream.unwrap(), &mut first) {
                Ok(1) if first == *b"P" => heard += 1,
                _ => return heard,
            }
        }
        heard
    });
    let sdk = Moto::shared().sdk().to_builder().endpoint_url(&url).build();
    let arn = "arn:aws:sns:eu-west-1:123456789012:days";
    let error = Topic::new(&sdk, arn).send(&message("2026-01-20")).await.unwrap_err();
    assert_eq!(error.code, "topic-unreachable");
    drop(std::net::TcpStream::connect(url.trim_start_matches("http://")).unwrap());
    assert_eq!(heard.join().unwrap(), 1);
}
