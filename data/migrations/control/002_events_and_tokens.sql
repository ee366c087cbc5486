-- What was changed, by whom; and the tokens with which scripts come.
-- Times are milliseconds since 1970 UTC. STRICT: sqlite.org/stricttables.html.

-- Append-only: a row is there for good. It grows by a hundred bytes or two with each change that a person or a script
-- makes, never with traffic.
CREATE TABLE event (
    id      INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    -- The owner's name, 'a command' or 'token NAME'.
    who     TEXT NOT NULL,
    -- 'setting', 'fault', 'token', 'backup', 'configuration'.
    kind    TEXT NOT NULL,
    -- The key of the setting, the name of the token.
    subject TEXT NOT NULL,
    -- JSON; NULL where there was, or is, nothing.
    before  TEXT,
    after   TEXT
) STRICT;

CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'events are never changed');
END;

CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
BEGIN
    SELECT RAISE(ABORT, 'events are never deleted');
END;

-- INSERT OR REPLACE deletes without asking the trigger above (sqlite.org/lang_conflict.html).
CREATE TRIGGER event_is_never_replaced BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'events are never replaced');
END;

-- A revoked token is gone; that it was there is an event. AUTOINCREMENT: no id means two tokens, one after another.
CREATE TABLE token (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT NOT NULL UNIQUE,
    secret_sha256   BLOB NOT NULL UNIQUE CHECK (length(secret_sha256) = 32),
    -- Their ids with a space between them.
    scopes          TEXT NOT NULL,
    created_at_ms   INTEGER NOT NULL,
    expires_at_ms   INTEGER NOT NULL,
    last_used_at_ms INTEGER
) STRICT;
