//! A topic of SNS that is told of closed days: its subscribers get mail, chat messages, or whatever they set up.
//!
//! Must never repeat what may have been published: whoever calls tries again later, and says so in the ledger.

use async_trait::async_trait;
use aws_config::{Region, SdkConfig};
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Builder;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::error::{ProvideErrorMetadata as _, SdkError};
use callvault_pipeline::ledger::notification::Channel;
use callvault_pipeline::notification::{Announcer, Message, Untold};

/// A subject is up to 100 characters of ASCII (SNS API reference, "Publish").
const LONGEST_SUBJECT: usize = 100;

/// A topic.
#[derive(Debug)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// The topic of this ARN, in its own region. Sends nothing yet.
    pub fn new(config: &SdkConfig, arn: &str) -> Self {
        let region = arn.split(':').nth(3).map(|region| Region::new(region.to_owned()));
        let mut own = Builder::from(config).retry_config(RetryConfig::disabled());
        own.set_region(region.or_else(|| config.region().cloned()));
        Self { client: Client::from_conf(own.build()), arn: arn.to_owned() }
    }
}

#[async_trait]
impl Announcer for Topic {
    fn channel(&self) -> Channel {
        Channel::Topic
    }

    async fn send(&self, message: &Message) -> Result<(), Untold> {
        let mut request =
            self.client.publish().topic_arn(&self.arn).subject(subject(&message.subject)).message(&message.text);
        if self.arn.ends_with(".fifo") {
            request = request.message_group_id("callvault").message_deduplication_id(&message.key);
        }
        match request.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) => {
                let code = error.err().code().unwrap_or("without a code");
                Err(Untold { code: "topic-refused", detail: format!("SNS refused the notification ({code})") })
            }
            Err(_) => Err(Untold { code: "topic-unreachable", detail: "SNS did not answer".to_owned() }),
        }
    }
}

/// What SNS takes for a subject: it refuses anything but ASCII, in one line that begins with a letter, digit or sign.
fn subject(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
    let plain: String = plain.trim().chars().take(LONGEST_SUBJECT).collect();
    if plain.is_empty() { "callvault".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_what_sns_takes() {
        assert_eq!(subject("  Días [2026-01-20]\n"), "D as [2026-01-20]");
        assert_eq!(subject("ñ"), "callvault");
        assert_eq!(subject(&"x".repeat(200)).len(), 100);
    }
}
