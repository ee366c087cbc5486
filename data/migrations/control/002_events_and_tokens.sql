-- What was changed, by whom; and the tokens with which scripts come.
-- Times are milliseconds since 1970 UTC. STRICT: sqlite.org/stricttables.html.

-- Append-only: a row is there for good, and takes a hundred bytes or two, about a kilobyte at most. Each change that a
-- person or a script makes adds one, each fault whose time is over another; a fault that is only renewed adds none, nor
-- does traffic.
CREATE TABLE event (
    id      INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    -- The owner's name, 'a command', 'token NAME', 'SIGHUP' or 'its time'.
    who     TEXT NOT NULL,
    -- 'setting', 'fault', 'token', 'backup', 'configuration', 'instance', 'rollout', 'upstream', 'cache', 'password',
    -- 'owner', 'load'.
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
