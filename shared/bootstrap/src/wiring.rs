//! Settings into stages: the one place that says which setting goes where, for every program.

use std::sync::Arc;
use std::time::Duration;

use callvault_pipeline::api::{Conversations, Recordings, Voicemails};
use callvault_pipeline::jobs::JobReader;
use callvault_pipeline::notification::Announcer;
use callvault_pipeline::stages::{
    Close, Describe, House, Late, Notify, Poll, Query, Submit, Upload, UploadOptions, Uploads, Voicemail,
    VoicemailOptions,
};
use callvault_pipeline::verify::{Source, Verify};

use crate::settings::{Settings, VoicemailSettings};

/// The query stage.
pub fn query(
    settings: &Settings,
    house: &House,
    source: Arc<dyn Conversations>,
    recordings: Arc<dyn Recordings>,
) -> Query {
    let late = Late { source: recordings, mode: settings.metadata };
    Query { house: house.clone(), source, wanted: settings.wanted.clone(), page_size: settings.page_size, late }
}

/// The submit stage.
pub fn submit(settings: &Settings, house: &House, source: Arc<dyn Recordings>) -> Submit {
    Submit { house: house.clone(), source, batch_size: settings.batch_size }
}

/// The poll stage.
pub fn poll(settings: &Settings, house: &House, reader: Arc<JobReader>, uploads: Uploads) -> Poll {
    Poll { house: house.clone(), reader, kinds: settings.kinds.clone(), uploads }
}

/// The describe stage.
pub fn describe(settings: &Settings, house: &House, source: Arc<dyn Recordings>) -> Describe {
    let (mode, kinds, most_restores) = (settings.metadata, settings.kinds.clone(), settings.most_restores);
    Describe { house: house.clone(), source, mode, kinds, most_restores }
}

/// The upload stage.
pub fn upload(settings: &Settings, house: &House, source: Arc<dyn Recordings>, reader: Arc<JobReader>) -> Upload {
    let options = UploadOptions {
        concurrency: settings.upload_concurrency,
        chat: settings.chat.clone(),
        by_store: settings.copied_by_store,
    };
    Upload { house: house.clone(), source, reader, options }
}

/// The voicemail stage.
pub fn voicemail(settings: &Settings, house: &House, source: Arc<dyn Voicemails>) -> Voicemail {
    let VoicemailSettings { queues, groups, orders, format, .. } = settings.voicemail.clone();
    let (page_size, concurrency) = (settings.page_size, settings.upload_concurrency);
    let options = VoicemailOptions { format, page_size, orders, queues, groups, concurrency };
    Voicemail { house: house.clone(), source, options }
}

/// The close stage; an unfinished day is looked at again after `recheck`.
pub fn close(settings: &Settings, house: &House, recheck: Duration) -> Close {
    Close { house: house.clone(), recheck, announces: settings.notifications.are_wanted() }
}

/// The notify stage.
pub fn notify(settings: &Settings, house: &House, announcers: Vec<Arc<dyn Announcer>>) -> Notify {
    let (wording, org) = (Arc::new(settings.notifications.wording.clone()), settings.endpoints.clone());
    Notify { house: house.clone(), wording, org, announcers }
}

/// The comparing of days; without a `source` that is not asked.
pub fn verify(
    settings: &Settings,
    house: &House,
    source: Option<impl Conversations + Recordings + Clone + 'static>,
    sample: Option<u64>,
) -> Verify {
    let source = source.map(|source| Source {
        conversations: Arc::new(source.clone()),
        recordings: Arc::new(source),
        wanted: settings.wanted.clone(),
        page_size: settings.page_size,
        metadata: settings.metadata,
    });
    Verify { house: house.clone(), source, sample }
}
