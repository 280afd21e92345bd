//! The file's schema and its migrations. A migration is never changed once released: the next one follows it.

use crate::schema::Schema;

/// The ledger's.
pub(super) const LEDGER: Schema = Schema {
    name: "ledger",
    // "cvlt"
    application_id: 0x6376_6c74,
    steps: STEPS,
    update: "run an export first to bring it up to date",
};

/// Each step brings the schema from its index to the next version.
const STEPS: &[&str] = &[
    r#"
    -- One row per fact. `fact` is the truth; the columns beside it are what is searched and counted by.
    CREATE TABLE facts (
        key     TEXT NOT NULL UNIQUE,
        kind    TEXT NOT NULL,
        day     TEXT NOT NULL,
        state   TEXT NOT NULL,
        reason  TEXT,
        stage   TEXT,
        due     INTEGER,           -- milliseconds since 1970; while claimed, when the claim ends
        holder  TEXT,
        attempt INTEGER NOT NULL,
        tries   INTEGER NOT NULL,
        bytes   INTEGER NOT NULL,
        open    INTEGER NOT NULL,  -- 1 while a conversation or recording is not terminal
        fact    TEXT NOT NULL
    ) STRICT;
    CREATE INDEX facts_due    ON facts (stage, due) WHERE stage IS NOT NULL;
    CREATE INDEX facts_day    ON facts (day, key);
    CREATE INDEX facts_open   ON facts (day) WHERE open = 1;
    CREATE INDEX facts_parked ON facts (day, key) WHERE state = 'parked';
    CREATE INDEX facts_held   ON facts (holder) WHERE holder IS NOT NULL;

    -- What the rows are true of: another archive or time zone needs another ledger.
    CREATE TABLE bound (
        name  TEXT NOT NULL PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;

    -- For people with a SQL prompt.
    CREATE VIEW days AS
        SELECT day, state, json_extract(fact, '$.marker') AS marker, json_extract(fact, '$.generation') AS generation,
               json_extract(fact, '$.closed_at') AS closed_at
        FROM facts WHERE kind = 'day';
    CREATE VIEW conversations AS
        SELECT substr(key, 14, length(key) - 14) AS conversation, day, state, reason, tries,
               json_extract(fact, '$.facts.start') AS started_at, json_extract(fact, '$.facts.handle_ms') AS handle_ms
        FROM facts WHERE kind = 'conversation';
    CREATE VIEW recordings AS
        SELECT substr(key, 14, instr(substr(key, 14), '/') - 1) AS conversation,
               substr(key, 14 + instr(substr(key, 14), '/')) AS recording,
               day, state, reason, tries, bytes, json_extract(fact, '$.kind') AS kind,
               json_extract(fact, '$.objects[0].key') AS object, json_extract(fact, '$.detail') AS detail
        FROM facts WHERE kind = 'recording';
"#,
    r#"
    -- Without an index of all keys of all days: there, each new row touched a page of its own once it was large. A
    -- recording is found through its conversation, in the day of that.
    CREATE TABLE facts_by_day (
        key     TEXT NOT NULL,
        kind    TEXT NOT NULL,
        day     TEXT NOT NULL,
        state   TEXT NOT NULL,
        reason  TEXT,
        stage   TEXT,
        due     INTEGER,
        holder  TEXT,
        attempt INTEGER NOT NULL,
        tries   INTEGER NOT NULL,
        bytes   INTEGER NOT NULL,
        open    INTEGER NOT NULL,
        fact    TEXT NOT NULL
    ) STRICT;
    INSERT INTO facts_by_day (key, kind, day, state, reason, stage, due, holder, attempt, tries, bytes, open, fact)
        SELECT key, kind, day, state, reason, stage, due, holder, attempt, tries, bytes, open, fact
        FROM facts ORDER BY rowid;
    DROP VIEW days;
    DROP VIEW conversations;
    DROP VIEW recordings;
    DROP TABLE facts;
    ALTER TABLE facts_by_day RENAME TO facts;
    CREATE UNIQUE INDEX facts_key    ON facts (key) WHERE kind <> 'recording';
    CREATE UNIQUE INDEX facts_day    ON facts (day, key);
    CREATE INDEX        facts_due    ON facts (stage, due) WHERE stage IS NOT NULL;
    CREATE INDEX        facts_open   ON facts (day) WHERE open = 1;
    CREATE INDEX        facts_parked ON facts (day, key) WHERE state = 'parked';
    CREATE INDEX        facts_held   ON facts (holder) WHERE holder IS NOT NULL;

    -- For people with a SQL prompt.
    CREATE VIEW days AS
        SELECT day, state, json_extract(fact, '$.marker') AS marker, json_extract(fact, '$.generation') AS generation,
               json_extract(fact, '$.closed_at') AS closed_at
        FROM facts WHERE kind = 'day';
    CREATE VIEW conversations AS
        SELECT substr(key, 14, length(key) - 14) AS conversation, day, state, reason, tries,
               json_extract(fact, '$.facts.start') AS started_at, json_extract(fact, '$.facts.handle_ms') AS handle_ms
        FROM facts WHERE kind = 'conversation';
    CREATE VIEW recordings AS
        SELECT substr(key, 14, instr(substr(key, 14), '/') - 1) AS conversation,
               substr(key, 14 + instr(substr(key, 14), '/')) AS recording,
               day, state, reason, tries, bytes, json_extract(fact, '$.kind') AS kind,
               json_extract(fact, '$.objects[0].key') AS object, json_extract(fact, '$.detail') AS detail
        FROM facts WHERE kind = 'recording';
"#,
    r#"
    -- Conversations are found through their days too: what remains in the index over all days are few rows.
    DROP INDEX facts_key;
    CREATE UNIQUE INDEX facts_key ON facts (key) WHERE kind <> 'recording' AND kind <> 'conversation';
"#,
    r#"
    -- Voicemail: the rows need nothing but a view. Their number tells older programs that they cannot read them.
    CREATE VIEW voicemails AS
        SELECT substr(key, 11, instr(substr(key, 11), '/') - 1) AS conversation,
               substr(key, 11 + instr(substr(key, 11), '/')) AS message,
               day, state, reason, tries, bytes, json_extract(fact, '$.created') AS created_at,
               json_extract(fact, '$.object.key') AS object, json_extract(fact, '$.orders') AS orders,
               json_extract(fact, '$.detail') AS detail
        FROM facts WHERE kind = 'voicemail';
"#,
    r#"
    -- Who reads a batch job now, or did just now. Forgotten soon after.
    CREATE TABLE turns (
        job  TEXT NOT NULL PRIMARY KEY,
        id   INTEGER NOT NULL,
        over INTEGER NOT NULL   -- milliseconds since 1970
    ) STRICT;
"#,
    r#"
    -- Notifications and the chain of manifests: rows and fields that older programs do not read. The number tells them so.
    CREATE VIEW notifications AS
        SELECT day, json_extract(fact, '$.summary.generation') AS generation, state, tries,
               json_extract(fact, '$.told') AS told, json_extract(fact, '$.detail') AS detail
        FROM facts WHERE kind = 'notification';
"#,
];
