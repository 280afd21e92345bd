//! Each model reads its fixture, and the one of next year: added fields, nulls, words and types nobody has heard of.

use super::*;

/// Reads a fixture as the client does: behind the path-tracking reader where that is compiled in.
fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    #[cfg(feature = "http")]
    {
        let mut reader = serde_json::Deserializer::from_str(text);
        let _: T = serde_path_to_error::deserialize(&mut reader).unwrap();
    }
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_conversation_page() {
    let page: ConversationPage = read(include_str!("../../fixtures/conversation-page.json"));
    assert_eq!(page.total_hits, Some(1));
    let [Found::Readable(conversation)] = &page.conversations[..] else { panic!("{page:?}") };
    assert_eq!(conversation.conversation_start.to_string(), "2026-01-15T16:01:02.345Z");
    assert_eq!(conversation.originating_direction, Some(Direction::Inbound));
    let agent = &conversation.participants[1];
    assert_eq!(agent.purpose.as_deref(), Some("agent"));
    assert_eq!(agent.sessions[0].media_type, Some(MediaType::Voice));
    assert_eq!(agent.sessions[0].recording, Some(true));
    assert_eq!(agent.sessions[0].metrics[0].value, Some(612_345.0));
    assert_eq!(agent.sessions[0].segments[0].queue_id.as_deref(), Some("7b1d6c0a-1111-4222-8333-444455556666"));
    // What was read can be written and read again: the pipeline keeps it.
    let again: Conversation = serde_json::from_str(&serde_json::to_string(conversation).unwrap()).unwrap();
    assert_eq!(&again, conversation.as_ref());
}

#[test]
fn a_conversation_page_of_next_year() {
    let page: ConversationPage = read(include_str!("../../fixtures/conversation-page-next-year.json"));
    assert_eq!((page.conversations.len(), page.total_hits), (6, None));
    let readable = |at: usize| matches!(page.conversations[at], Found::Readable(_));
    assert_eq!(
        [readable(0), readable(1), readable(2)],
        [false, true, true],
        "a participant that is null is not guessed at"
    );
    assert_eq!(page.conversations[0].id().as_str(), "2f7bf00a-0fc2-4d6a-9b56-92238191433e");
    assert!(page.conversations[0].start().is_some());
    let Found::Readable(second) = &page.conversations[1] else { panic!() };
    assert_eq!(second.originating_direction, Some(Direction::Unknown("sideways".into())));
    assert!(page.conversations[3].id().is_stand_in() && page.conversations[3].start().is_some());
    assert!(page.conversations[4].id().is_stand_in() && page.conversations[4].start().is_none());
    assert!(page.conversations[5].id().is_stand_in());
    let empty: ConversationPage = read("{}");
    assert!(empty.conversations.is_empty());
}

#[test]
fn a_history_page() {
    let page: HistoryPage = read(include_str!("../../fixtures/history-page.json"));
    assert_eq!((page.conversations.len(), page.cursor.as_deref()), (1, Some("eyJwIjoyfQ==")));
    assert_eq!(page.data_availability_date.unwrap().to_string(), "2026-01-15T03:00:00Z");
    let page: HistoryPage = read(include_str!("../../fixtures/history-page-next-year.json"));
    assert!(page.conversations.is_empty() && page.cursor.is_none() && page.data_availability_date.is_none());
}

#[test]
fn a_batch_job() {
    let job: BatchJob = read(include_str!("../../fixtures/batch-job.json"));
    assert_eq!((job.status, job.expected_result_count, job.result_count), (Some(JobStatus::Completed), 2, 2));
    assert!(job.results[0].result_url.is_some() && job.results[0].error_msg.is_none());
    assert_eq!(job.results[1].error_msg.as_deref(), Some("recording is archived"));
    let job: BatchJob = read(include_str!("../../fixtures/batch-job-next-year.json"));
    assert_eq!(job.status, Some(JobStatus::Unknown("CompletedWithStyle".into())));
    assert_eq!((job.expected_result_count, job.result_count, job.results.len()), (0, 0, 3));
    assert!(job.results[0].conversation_id.is_some() && job.results[0].result_url.is_none());
}

#[test]
#[cfg(feature = "http")]
fn recording_metadata() {
    let rows = |text| -> Vec<RecordingMetadata> {
        let rows: Vec<serde_json::Value> = read(text);
        rows.into_iter().filter_map(RecordingMetadata::from_loose).collect()
    };
    let text = include_str!("../../fixtures/recording-metadata.json");
    let strict: Vec<RecordingMetadata> = read(text);
    assert_eq!(rows(text), strict, "both readers agree on what is documented");
    assert_eq!(strict[0].file_state, Some(FileState::Available));
    let next_year = rows(include_str!("../../fixtures/recording-metadata-next-year.json"));
    assert_eq!(next_year.len(), 2);
    assert_eq!(next_year[0].file_state, Some(FileState::Unknown("THAWING".into())));
    assert_eq!((next_year[0].start_time.as_deref(), next_year[1].id.as_deref()), (None, None));
}

#[test]
fn a_voicemail_page() {
    let page: VoicemailPage = read(include_str!("../../fixtures/voicemail-page.json"));
    assert_eq!((page.total, page.page_count, page.page_number, page.page_size), (Some(2), Some(1), Some(1), Some(25)));
    let [first, second] = &page.messages[..] else { panic!("{page:?}") };
    assert_eq!(first.conversation.as_ref().unwrap().as_str(), "2f7bf00a-0fc2-4d6a-9b56-92238191433e");
    assert_eq!(first.queue.as_ref().unwrap().as_str(), "7b1d6c0a-1111-4222-8333-444455556666");
    assert_eq!(first.created.unwrap().to_string(), "2026-01-15T16:12:11.949Z");
    assert_eq!((first.duration_seconds, first.source_bytes, first.read), (Some(12), Some(98_760), Some(false)));
    assert_eq!(first.caller_address.as_ref().unwrap().expose(), "tel:+13175550100");
    assert!(!format!("{page:?}").contains("3175550100") && !format!("{page:?}").contains("Made-up Caller"));
    assert_eq!((second.group.is_some(), second.queue.is_some(), second.user.is_some()), (true, false, false));
}

#[test]
fn a_voicemail_page_of_next_year() {
    let page: VoicemailPage = read(include_str!("../../fixtures/voicemail-page-next-year.json"));
    assert_eq!((page.total, page.page_count, page.page_number, page.page_size), (None, None, None, None));
    assert_eq!(page.messages.len(), 4);
    let first = &page.messages[0];
    assert!(!first.id.is_stand_in() && first.conversation.is_some());
    assert_eq!((first.read, first.created, &first.queue, &first.caller_address), (None, None, &None, &None));
    assert!(page.messages[1..].iter().all(|message| message.id.is_stand_in() && message.conversation.is_none()));
    assert_ne!(page.messages[2].id, page.messages[3].id);
    assert_eq!(read::<VoicemailPage>("{}"), VoicemailPage::default());
    assert_eq!(read::<VoicemailPage>(r#"{"entities":null}"#), VoicemailPage::default());
}

#[test]
fn the_signed_in_user() {
    let me: Me = read(include_str!("../../fixtures/users-me.json"));
    assert_eq!((me.id.as_str(), me.state), ("c0ffee00-1111-4222-8333-444455556666", Some(UserState::Active)));
    let me: Me = read(include_str!("../../fixtures/users-me-next-year.json"));
    assert_eq!(me.state, Some(UserState::Unknown("sabbatical".into())));
}
