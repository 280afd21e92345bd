//! What a simulated org is made of: every knob, with its default.
//!
//! Owns no behaviour. Nothing here is read from the environment: whoever starts the simulator decides.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::faults::Profile;

/// How the org is made and how it behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// First day of the truth, in `time_zone`.
    pub first_day: Date,
    /// Number of days in the truth. Default 1.
    pub days: u32,
    /// Zone whose midnights bound a day of the truth. Default UTC.
    pub time_zone: TimeZone,
    /// Conversations that start on each day. Default 200. From 50 on, every kind of oddity occurs every day.
    pub conversations: u32,
    /// The same seed and day always make the same conversations and the same bytes. Default 1.
    pub seed: u64,
    /// What goes wrong from the start. Default [`Profile::None`].
    pub faults: Profile,
    /// Requests allowed per client and minute. Default 300, the published limit.
    pub rate_per_minute: u32,
    /// Every media file has about this many bytes instead of a mix. Exact for audio, video and the unknown type;
    /// chats and messages are capped at 1 MiB, and no file is smaller than its own headers (an Ogg: about 300 bytes).
    pub media_bytes: Option<u64>,
    /// Every conversation is one call with one available Ogg recording, and there are no neighbours outside the
    /// truth's days: for benchmarks.
    pub plain: bool,
    /// About how long a batch job takes on the simulator's clock, give or take a quarter. Default 2 s.
    pub job_delay: Duration,
    /// Life of a signed media URL. Default 60 min.
    pub url_life: Duration,
    /// Life of a token. Default 86400 s.
    pub token_life: Duration,
    /// Recordings that are "still uploading" become available this long after the start. Default 6 s.
    pub uploading_delay: Duration,
    /// How long the restore of an archived recording takes. Default 4 h.
    pub restore_delay: Duration,
    /// `pageNumber * pageSize` beyond this is refused. Default 100,000. Below the default the simulator behaves like
    /// the newer platform: an interval shorter than a day returns only conversations that start inside it, so that
    /// splitting a refused interval gets anywhere. Keep it at or above the client's page size.
    pub result_limit: u64,
    /// Voicemails left on each day for every queue and every group of the org, beside those of the conversations that
    /// are nothing but a voicemail; one more a day is left for an agent directly. Default 3; none when `plain`.
    pub voicemails: u32,
    /// How long after its event a voicemail that is left while the simulator runs can be listed. Default 3 min.
    pub voicemail_delay: Duration,
    /// Voicemail listings begin with the oldest message: no document says which end comes first. Default false.
    pub voicemails_oldest_first: bool,
    /// How far back the synchronous query reaches. Default 35 days.
    pub query_reach_days: i64,
    /// Client id. Default `demo`.
    pub client_id: String,
    /// Client secret. Default `demo`.
    pub client_secret: String,
    /// A second client of the same org (id and secret), whose jobs the first may not read. Default `other`/`other`.
    pub second_client: Option<(String, String)>,
    /// Name that the sign-in page suggests. Any name signs in. Default `voicemail@example.com`.
    pub user_name: String,
    /// The scopes the OAuth clients have for users' grants. Default `voicemail` and `conversations`.
    pub user_scopes: Vec<String>,
    /// The permissions every user has. Default: to list, read and delete queue voicemail and to disconnect callbacks.
    pub user_permissions: Vec<String>,
    /// The redirect URIs the clients have registered, to the letter. Empty, the default: any http URI of this machine.
    pub redirect_uris: Vec<String>,
    /// Life of an authorization code. Default 5 min.
    pub code_life: Duration,
    /// How long a refresh token that was used still works. Default zero: it dies at once.
    pub refresh_grace: Duration,
}

impl Options {
    /// The defaults, for an org whose truth begins on `first_day`.
    pub fn new(first_day: Date) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            first_day,
            days: 1,
            time_zone: TimeZone::UTC,
            conversations: 200,
            seed: 1,
            faults: Profile::None,
            rate_per_minute: 300,
            media_bytes: None,
            plain: false,
            job_delay: Duration::from_secs(2),
            url_life: Duration::from_secs(60 * 60),
            token_life: Duration::from_secs(86_400),
            uploading_delay: Duration::from_secs(6),
            restore_delay: Duration::from_secs(4 * 60 * 60),
            result_limit: DEFAULT_RESULT_LIMIT,
            voicemails: 3,
            voicemail_delay: Duration::from_secs(3 * 60),
            voicemails_oldest_first: false,
            query_reach_days: 35,
            client_id: "demo".into(),
            client_secret: "demo".into(),
            second_client: Some(("other".into(), "other".into())),
            user_name: "voicemail@example.com".into(),
            user_scopes: ["voicemail", "conversations"].map(str::to_owned).into(),
            user_permissions: [VIEW_VOICEMAIL, DELETE_VOICEMAIL, DISCONNECT].map(str::to_owned).into(),
            redirect_uris: Vec::new(),
            code_life: Duration::from_secs(5 * 60),
            refresh_grace: Duration::ZERO,
        }
    }
}

/// To list and read the voicemail of queues (genesys/api.md, "Voicemail").
pub(crate) const VIEW_VOICEMAIL: &str = "voicemail:acdvoicemail:view";
/// To delete one.
pub(crate) const DELETE_VOICEMAIL: &str = "voicemail:acdvoicemail:delete";
/// To disconnect a callback.
pub(crate) const DISCONNECT: &str = "conversation:communication:disconnect";

/// The platform's own limit on rows that paging can reach (genesys/api.md, "Analytics").
pub(crate) const DEFAULT_RESULT_LIMIT: u64 = 100_000;
