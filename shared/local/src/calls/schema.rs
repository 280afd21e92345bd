//! The file's schema and its migrations. A migration is never changed once released: the next one follows it.

use crate::schema::Schema;

/// That of the file of calls.
pub(super) const CALLS: Schema = Schema {
    name: "file of calls",
    // "cvcl"
    application_id: 0x6376_636c,
    steps: STEPS,
    update: "run `callvault serve` or `callvault calls rebuild` once to bring it up to date",
};

const STEPS: &[&str] = &[r#"
    -- What the telephony system sent, once each and for ever. `call` is empty for what belongs to no call.
    CREATE TABLE events (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of arrival; never given twice
        uuid     BLOB NOT NULL,                      -- of what identifies the event
        call     TEXT NOT NULL,
        type     TEXT NOT NULL,
        actor    TEXT,
        at       TEXT NOT NULL,                      -- when it happened, or else when it was received
        received_at TEXT NOT NULL,
        received TEXT NOT NULL                       -- the JSON object, as it came
    ) STRICT;
    -- By call first: ids of calls grow, so new rows meet in few pages of the index, however large it is.
    CREATE UNIQUE INDEX events_once ON events (call, uuid);
    CREATE INDEX        events_call ON events (call);
    CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
    CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

    -- What the events of each call come to. Can be made anew from them at any time.
    CREATE TABLE calls (
        id         INTEGER PRIMARY KEY,   -- of the event of it that arrived first
        call       TEXT NOT NULL UNIQUE,
        state      TEXT NOT NULL,
        state_at   TEXT,                  -- when the state was said; NULL while nothing said one
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        version    INTEGER NOT NULL       -- how many events it is made of
    ) STRICT;
    CREATE INDEX calls_state ON calls (state);
"#];
