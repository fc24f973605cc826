-- The first schema. Numbers in `kind`, `tier` and `source` are those of row.rs
-- and tier.rs. Times are UTC: milliseconds in `at`, seconds elsewhere.

CREATE TABLE object (
    id INTEGER PRIMARY KEY,
    cluster TEXT NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    generation INTEGER NOT NULL,
    used_at INTEGER NOT NULL
) STRICT;
CREATE INDEX object_by_name ON object (name);

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    object INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    part TEXT NOT NULL
) STRICT;
CREATE INDEX series_of_object ON series (object);

-- The bytes come last, so that the rest is read without them.
CREATE TABLE block (
    id INTEGER PRIMARY KEY,
    tier INTEGER NOT NULL,
    begin INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    source INTEGER NOT NULL,
    value_count INTEGER NOT NULL,
    rolled_up INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX block_by_place ON block (tier, begin, partition);

CREATE TABLE state (
    kind INTEGER NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    cluster TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- NULL = may come again.
    key TEXT,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX record_by_time ON record (kind, at);
CREATE INDEX record_of_subject ON record (kind, subject, at);
CREATE UNIQUE INDEX record_once ON record (kind, key) WHERE key IS NOT NULL;
