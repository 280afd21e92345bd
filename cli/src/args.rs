//! The command line. The commands and flags of the help are fixed: scripts depend on them.

use std::net::SocketAddr;
use std::path::PathBuf;

use callvault_calls::call::State;
use callvault_calls::event::CallId;
use callvault_pipeline::day::Day;
use callvault_pipeline::ids::ConversationId;
use callvault_pipeline::reason::Reason;
use callvault_simulator::Profile;
use clap::{Parser, Subcommand};

/// Exports recordings from Genesys Cloud, completely and provably, into storage you own.
#[derive(Debug, Parser)]
#[command(
    name = "callvault",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = "Settings are read from flags, then the environment, then callvault.toml; the README lists them.\n\
                  Exit codes: 0 all well, 1 something is parked or differs, 2 usage or settings, 3 could not go on.\n\n\
                  Try it without an org:\n  callvault demo"
)]
pub(crate) struct Args {
    /// Settings file [default: callvault.toml, where there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What is logged on stderr: error, warn, info, debug, or a filter such as callvault_pipeline=debug [default: CALLVAULT_LOG, or warn]
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// Log lines as JSON
    #[arg(long, global = true)]
    pub(crate) log_json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Export a simulated org's day and compare the archive with the truth
    #[command(
        after_help = "Examples:\n  callvault demo\n  callvault demo --dir /tmp/demo --conversations 1000 --faults hostile\n\n\
                            Run it twice over one --dir: the second run transfers nothing."
    )]
    Demo(Demo),
    /// Export the recordings of days
    #[command(after_help = "Examples:\n  callvault export --from 2026-01-01 --to 2026-01-31\n  \
                            callvault export --from 2026-01-31 --to 2026-01-31 --archive file:///srv/recordings --json\n\n\
                            A run that was stopped, however, is gone on with by running it again.")]
    Export(Export),
    /// Move the voicemail of VOICEMAIL_QUEUES as it comes; goes on until stopped
    #[command(after_help = "Example:\n  VOICEMAIL_SECRET_ID=file:user.json VOICEMAIL_QUEUES=QUEUE callvault run\n\n\
                            It signs in as the user of VOICEMAIL_SECRET_ID. SIGTERM and Ctrl-C let it finish what is under way; \
                            a second one ends it at once. Nothing is lost either way.")]
    Run,
    /// Show what the ledger knows of days
    #[command(after_help = "Examples:\n  callvault status\n  callvault status --day 2026-01-31 --json")]
    Status(Status),
    /// Say where a conversation's recordings are
    #[command(after_help = "Example:\n  callvault where 2f7bf00a-0fc2-4d6a-9b56-92238191433e")]
    Where(Where),
    /// Sign in as a user, for what needs one: voicemail
    #[command(after_help = "Examples:\n  callvault login --file user.json --region mypurecloud.ie\n  \
                            callvault login --secret callvault/user --paste\n\n\
                            Needs an OAuth client with the grant `Code Authorization`, the redirect URI\n\
                            http://127.0.0.1:8910/callback, the scopes voicemail and conversations, and a\n\
                            token duration of 172800 seconds. Its id and secret are taken from the secret, if\n\
                            it has them, else from GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET, else asked for.\n\
                            Other keys of the secret are kept.\n\n\
                            Exit codes: 0 signed in, 2 usage or settings, 3 not signed in.")]
    Login(Login),
    /// Check one by one what callvault needs, and say what is missing
    #[command(after_help = "Examples:\n  callvault doctor\n  callvault doctor --json\n\n\
                            Asks only questions that change nothing at the source; writes, reads and deletes\n\
                            one small object in the archive.\n\n\
                            Exit codes: 0 nothing is missing, 1 something is, 2 settings, 3 the org is not reached.")]
    Doctor(Doctor),
    /// Compare source, ledger and archive of days, and mend what differs
    #[command(after_help = "Examples:\n  callvault verify --from 2026-01-01 --to 2026-01-31\n  \
                            callvault verify --from 2026-01-01 --to 2026-12-31 --sample 100 --json\n  \
                            callvault verify --from 2026-01-31 --to 2026-01-31 --repair\n\n\
                            Exit codes: 0 all agree, or everything was mended; 1 something differs.\n\
                            Without GENESYS_CLIENT_ID or GENESYS_SECRET_ID the source is not asked: ledger and archive alone are compared.")]
    Verify(Verify),
    /// Open parked work again: the next export or run tries it once more
    #[command(
        after_help = "Examples:\n  callvault redrive --day 2026-01-31\n  callvault redrive --reason archived\n  \
                            callvault redrive --day 2026-01-31 --reason sensitive-excluded\n  \
                            callvault redrive --conversation 2f7bf00a-0fc2-4d6a-9b56-92238191433e\n\n\
                            Together they narrow: only what all of them name is opened again."
    )]
    Redrive(Redrive),
    /// Answer on HTTP: telephony's webhook, its calls live, and the jobs API; goes on until stopped
    #[command(
        after_help = "Example:\n  export JOBS_TOKEN=$(openssl rand -hex 32) WEBHOOK_SECRET=$(openssl rand -hex 32)\n  \
                            export CALLS_TOKEN=$(openssl rand -hex 32)\n  callvault serve --listen 127.0.0.1:8911\n\n\
                            /webhook takes events, with `Authorization: Bearer WEBHOOK_SECRET` or as /webhook/WEBHOOK_SECRET.\n\
                            / shows calls as they happen, over the websocket /ws?token=CALLS_TOKEN.\n\
                            The jobs API wants `Authorization: Bearer JOBS_TOKEN`; what it plans is exported beside it,\n\
                            where there is a client. A part whose setting is missing is off. It speaks plain HTTP: for\n\
                            other machines put something in front of it that speaks TLS. SIGTERM and Ctrl-C let it answer\n\
                            what was asked."
    )]
    Serve(Serve),
    /// Look at telephony's calls and their events, or make the calls anew from the events
    #[command(
        subcommand,
        after_help = "Examples:\n  callvault calls list --state ongoing\n  callvault calls events 1463669263.30033 --json\n  \
                            callvault calls rebuild\n\n\
                            They are in a file beside the ledger, and may be looked at while `callvault serve` runs. With\n\
                            LEDGER=dynamodb:TABLE they are those of the stack, in the table CALLS_TABLE."
    )]
    Calls(Calls),
    /// Say what exporting days will take: recordings, bytes, API requests, hours, cost on AWS
    #[command(after_help = "Examples:\n  callvault estimate --from 2025-01-01 --to 2025-12-31\n  \
                            callvault estimate --from 2026-01-01 --to 2026-01-31 --json\n\n\
                            Asks the source a bounded number of questions, fetches no media, plans nothing. Days that\n\
                            are closed in the ledger are left out, and its recordings taken for what is to be expected.\n\
                            Each figure says what it rests on: counted, sampled or assumed.")]
    Estimate(Estimate),
    /// Write one HTML page that shows how everything stands
    #[command(after_help = "Examples:\n  callvault report --out report.html\n  \
                            callvault report --out january.html --from 2026-01-01 --to 2026-01-31\n\n\
                            The page needs nothing beside itself: open it, print it or send it. It is made from the\n\
                            ledger alone and names days, numbers and reasons; no conversation, no caller.")]
    Report(Report),
    /// Run a simulated Genesys Cloud org (client id `demo`, secret `demo`)
    #[command(after_help = "Example:\n  callvault simulator --port 8080 --conversations 1000 --faults usual\n\n\
                            GET /_sim/truth lists what a perfect export holds; GET /_sim/requests counts requests.")]
    Simulator(Simulator),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  callvault completions bash > /etc/bash_completion.d/callvault")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Where archive and ledger of the demo go
    #[arg(long, value_name = "DIR", default_value = "callvault-demo")]
    pub(crate) dir: PathBuf,
    /// Conversations in the simulated day
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) conversations: u32,
    /// The same seed makes the same org
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// What goes wrong at the simulated source: none, usual or hostile
    #[arg(long, value_name = "PROFILE", default_value = "usual")]
    pub(crate) faults: Profile,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// First day, YYYY-MM-DD in TIMEZONE
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Day,
    /// Last day, included
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Day,
    /// Base URL instead of a region: for tests and simulators [setting GENESYS_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) genesys_url: Option<String>,
    /// Where the recordings go [setting ARCHIVE]
    #[arg(long, value_name = "URL")]
    pub(crate) archive: Option<String>,
    /// Where the work is recorded [setting LEDGER]
    #[arg(long, value_name = "URL")]
    pub(crate) ledger: Option<String>,
    /// Print one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Only this day
    #[arg(long, value_name = "DAY")]
    pub(crate) day: Option<Day>,
    /// Where the work is recorded [setting LEDGER]
    #[arg(long, value_name = "URL")]
    pub(crate) ledger: Option<String>,
    /// Print one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Where {
    /// The conversation's id
    #[arg(value_name = "CONVERSATION")]
    pub(crate) conversation: ConversationId,
    /// Where the work is recorded [setting LEDGER]
    #[arg(long, value_name = "URL")]
    pub(crate) ledger: Option<String>,
    /// Where the recordings are [setting ARCHIVE]
    #[arg(long, value_name = "URL")]
    pub(crate) archive: Option<String>,
    /// Print one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Login {
    /// Region of the org: its domain or its AWS region [setting GENESYS_REGION; else the secret's, else asked for]
    #[arg(long, value_name = "R")]
    pub(crate) region: Option<String>,
    /// For a machine without a browser: open the page elsewhere, paste the address it ends at
    #[arg(long)]
    pub(crate) paste: bool,
    /// Secret of AWS Secrets Manager that the tokens go into, by name or ARN [setting VOICEMAIL_SECRET_ID]
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    pub(crate) secret: Option<String>,
    /// File that the tokens go into, readable by its owner alone [setting VOICEMAIL_SECRET_ID=file:PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Port on 127.0.0.1 that the browser comes back to; http://127.0.0.1:PORT/callback must be registered
    #[arg(long, value_name = "PORT", default_value_t = 8910)]
    pub(crate) port: u16,
    /// Redirect URI, where another one is registered with the OAuth client
    #[arg(long, value_name = "URI", conflicts_with = "port")]
    pub(crate) redirect_uri: Option<String>,
    /// Only print the page's address: do not open a browser
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// How long to wait for the browser to come back, in seconds
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Print one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// First day, YYYY-MM-DD in TIMEZONE
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Day,
    /// Last day, included
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Day,
    /// Mend what can be mended, and say what cannot
    #[arg(long)]
    pub(crate) repair: bool,
    /// Read N objects of each day instead of all, and the metadata of N conversations; lengths are always compared
    #[arg(long, value_name = "N")]
    pub(crate) sample: Option<u64>,
    /// Base URL instead of a region: for tests and simulators [setting GENESYS_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) genesys_url: Option<String>,
    /// Where the recordings are [setting ARCHIVE]
    #[arg(long, value_name = "URL")]
    pub(crate) archive: Option<String>,
    /// Where the work is recorded [setting LEDGER]
    #[arg(long, value_name = "URL")]
    pub(crate) ledger: Option<String>,
    /// Print one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true, args = ["day", "reason", "conversation"])]
pub(crate) struct Redrive {
    /// Only this day, YYYY-MM-DD in TIMEZONE
    #[arg(long, value_name = "DAY")]
    pub(crate) day: Option<Day>,
    /// Only what is parked for this reason
    #[arg(long, value_name = "CODE", value_parser = reason)]
    pub(crate) reason: Option<Reason>,
    /// Only this conversation
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<ConversationId>,
    /// Where the recordings are [setting ARCHIVE]
    #[arg(long, value_name = "URL")]
    pub(crate) archive: Option<String>,
    /// Where the work is recorded [setting LEDGER]
    #[arg(long, value_name = "URL")]
    pub(crate) ledger: Option<String>,
}

fn reason(text: &str) -> Result<Reason, String> {
    let found = Reason::ALL.iter().find(|reason| reason.code() == text);
    found.copied().ok_or_else(|| {
        let codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        format!("expected one of {}", codes.join(", "))
    })
}

#[derive(Debug, Subcommand)]
pub(crate) enum Calls {
    /// List calls, with their states and the times of their first and last events
    List {
        /// Only those in this state: new, standby, waiting, ongoing or finished
        #[arg(long, value_name = "STATE")]
        state: Option<State>,
        /// The ledger that the calls are kept beside [setting LEDGER]
        #[arg(long, value_name = "URL")]
        ledger: Option<String>,
        /// Print one JSON object on stdout
        #[arg(long)]
        json: bool,
    },
    /// List the events of a call, in the order in which they arrived
    Events(CallEvents),
    /// Make every call's state anew from its events
    Rebuild {
        /// The ledger that the calls are kept beside [setting LEDGER]
        #[arg(long, value_name = "URL")]
        ledger: Option<String>,
        /// Print one JSON object on stdout
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct CallEvents {
    /// The call's id, as the telephony system gave it
    #[arg(value_name = "CALL", required_unless_present = "of_no_call", value_parser = call)]
    pub(crate) call: Option<CallId>,
    /// The events that belong to no call: sign-ins, pauses, dialers
    #[arg(long, conflicts_with = "call")]
    pub(crate) of_no_call: bool,
    /// The ledger that the calls are kept beside [setting LEDGER]
    #[arg(long, value_name = "URL")]
    pub(crate) ledger: Option<String>,
    /// Print one JSON object on stdout, with all that the events hold
    #[arg(long)]
    pub(crate) json: bool,
}

fn call(text: &str) -> Result<CallId, String> {
    text.parse().map_err(|_| "expected the id of a call, for instance 1463669263.30033".to_owned())
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = address)]
    pub(crate) listen: SocketAddr,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected the number of an address and a port, for instance 127.0.0.1:8911".to_owned())
}

#[derive(Debug, clap::Args)]
pub(crate) struct Estimate {
    /// First day, YYYY-MM-DD in TIMEZONE
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Day,
    /// Last day, included
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Day,
    /// Base URL instead of a region: for tests and simulators [setting GENESYS_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) genesys_url: Option<String>,
    /// Where the work is recorded, if anything was exported before [setting LEDGER]
    #[arg(long, value_name = "URL")]
    pub(crate) ledger: Option<String>,
    /// Print one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// Where the page goes; what is there is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// First day, YYYY-MM-DD in TIMEZONE [default: the first that is known]
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<Day>,
    /// Last day, included [default: the last that is known, or due]
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<Day>,
    /// Where the work is recorded [setting LEDGER]
    #[arg(long, value_name = "URL")]
    pub(crate) ledger: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Simulator {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "P", default_value_t = 0)]
    pub(crate) port: u16,
    /// First day of the org, in TIMEZONE [default: three days ago]
    #[arg(long, value_name = "DAY")]
    pub(crate) day: Option<Day>,
    /// Number of days
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub(crate) days: u32,
    /// Conversations a day
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) conversations: u32,
    /// The same seed makes the same org
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// What goes wrong: none, usual or hostile
    #[arg(long, value_name = "PROFILE", default_value = "none")]
    pub(crate) faults: Profile,
    /// API requests allowed a minute
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// Every media file has about this many bytes
    #[arg(long, value_name = "N")]
    pub(crate) media_bytes: Option<u64>,
    /// Every conversation is one call with one recording: for measuring
    #[arg(long)]
    pub(crate) plain: bool,
    /// About how long a batch job takes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    pub(crate) job_ms: u64,
    /// How long a media URL lives, in seconds
    #[arg(long, value_name = "S", default_value_t = 3600)]
    pub(crate) url_seconds: u64,
    /// How long a token lives, in seconds
    #[arg(long, value_name = "S", default_value_t = 86_400)]
    pub(crate) token_seconds: u64,
}
