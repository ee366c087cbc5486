-- The console: who owns this installation and who is signed in.
-- Times are milliseconds since 1970 UTC. STRICT: sqlite.org/stricttables.html.

-- At most one row: that is what makes "create if there is none" atomic.
CREATE TABLE owner (
    only_row      INTEGER PRIMARY KEY CHECK (only_row = 1),
    name          TEXT NOT NULL,
    password_phc  TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE setup_token (
    token_sha256  BLOB NOT NULL PRIMARY KEY CHECK (length(token_sha256) = 32),
    expires_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- All are the owner's: there is nobody else yet.
CREATE TABLE session (
    secret_sha256   BLOB NOT NULL PRIMARY KEY CHECK (length(secret_sha256) = 32),
    created_at_ms   INTEGER NOT NULL,
    expires_at_ms   INTEGER NOT NULL,
    last_seen_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_age ON session (created_at_ms);
