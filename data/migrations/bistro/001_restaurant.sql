-- The restaurant. Times are milliseconds since 1970 UTC, money is cents, both whole numbers.
-- STRICT: a column holds its type and nothing else (sqlite.org/stricttables.html).

CREATE TABLE menu_item (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    course      TEXT NOT NULL CHECK (course IN ('starter', 'main', 'side', 'dessert', 'drink')),
    price_cents INTEGER NOT NULL CHECK (price_cents > 0),
    -- Words with one space between them.
    tags        TEXT NOT NULL
) STRICT;

-- Stock is worked out, never stored: initial + deliveries - used can't come apart from it.
CREATE TABLE pantry_item (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    unit        TEXT NOT NULL CHECK (unit IN ('g', 'ml', 'piece')),
    initial     INTEGER NOT NULL CHECK (initial >= 0),
    delivered   INTEGER NOT NULL DEFAULT 0 CHECK (delivered >= 0),
    used        INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0),
    stock       INTEGER GENERATED ALWAYS AS (initial + delivered - used) VIRTUAL CHECK (stock >= 0),
    -- The most that one portion of any dish takes: above it no dish changes its availability.
    portion_max INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE recipe_line (
    menu_item_id   INTEGER NOT NULL REFERENCES menu_item,
    pantry_item_id INTEGER NOT NULL REFERENCES pantry_item,
    -- For one portion, in the pantry item's unit.
    quantity       INTEGER NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (menu_item_id, pantry_item_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX recipe_line_by_pantry_item ON recipe_line (pantry_item_id, quantity);

-- Staff have a name; a guest has only the number.
CREATE TABLE person (
    id            INTEGER PRIMARY KEY,
    role          TEXT NOT NULL CHECK (role IN ('guest', 'waiter', 'chef', 'manager')),
    name          TEXT UNIQUE CHECK ((name IS NULL) = (role = 'guest')),
    -- PHC string; NULL until the owner sets a password, and then nobody signs in with this name.
    password_phc  TEXT,
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
    -- Of the secret, which is stored nowhere.
    secret_sha256   BLOB NOT NULL PRIMARY KEY CHECK (length(secret_sha256) = 32),
    person_id       INTEGER NOT NULL REFERENCES person,
    -- 1: made by the control plane to send one request as somebody.
    minted          INTEGER NOT NULL CHECK (minted IN (0, 1)),
    created_at_ms   INTEGER NOT NULL,
    expires_at_ms   INTEGER NOT NULL,
    last_seen_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_person ON session (person_id, minted, created_at_ms);
CREATE INDEX session_by_expiry ON session (expires_at_ms);
CREATE INDEX session_by_last_seen ON session (last_seen_at_ms);

-- Never deleted, so `seq` has no gaps and "the latest hundred" is a range of it.
CREATE TABLE orders (
    seq          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    person_id    INTEGER NOT NULL REFERENCES person,
    table_number INTEGER NOT NULL CHECK (table_number > 0),
    state        TEXT NOT NULL CHECK (state IN ('placed')),
    total_cents  INTEGER NOT NULL CHECK (total_cents >= 0),
    placed_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_by_person ON orders (person_id, seq);

-- Name and price as they were when the order was placed.
CREATE TABLE order_line (
    order_seq        INTEGER NOT NULL REFERENCES orders,
    line             INTEGER NOT NULL,
    menu_item_id     INTEGER NOT NULL REFERENCES menu_item,
    name             TEXT NOT NULL,
    quantity         INTEGER NOT NULL CHECK (quantity > 0),
    unit_price_cents INTEGER NOT NULL,
    line_total_cents INTEGER NOT NULL,
    PRIMARY KEY (order_seq, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE ticket (
    id           INTEGER PRIMARY KEY,
    order_seq    INTEGER NOT NULL UNIQUE REFERENCES orders,
    state        TEXT NOT NULL CHECK (state IN ('waiting')),
    queued_at_ms INTEGER NOT NULL
) STRICT;

-- One row. The length of the queue is kept, since counting it would cost more with every order.
CREATE TABLE kitchen (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    waiting  INTEGER NOT NULL CHECK (waiting >= 0)
) STRICT;
INSERT INTO kitchen VALUES (1, 0);

-- Balances are kept beside the entries for the same reason; `Bistro::audit` compares the two.
CREATE TABLE account (
    id            TEXT NOT NULL PRIMARY KEY,
    balance_cents INTEGER NOT NULL,
    entries       INTEGER NOT NULL CHECK (entries >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO account VALUES ('receivable', 0, 0), ('sales', 0, 0);

CREATE TABLE entry (
    id           INTEGER PRIMARY KEY,
    order_seq    INTEGER NOT NULL REFERENCES orders,
    account      TEXT NOT NULL REFERENCES account,
    -- Debits positive, credits negative.
    amount_cents INTEGER NOT NULL,
    at_ms        INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency_key (
    person_id     INTEGER NOT NULL REFERENCES person,
    route         TEXT NOT NULL,
    key           TEXT NOT NULL,
    fingerprint   BLOB NOT NULL CHECK (length(fingerprint) = 32),
    order_seq     INTEGER NOT NULL REFERENCES orders,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (person_id, route, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_key_by_age ON idempotency_key (created_at_ms);
-- For a guest whose first answer was lost, and with it the cookie that says who it was.
CREATE INDEX idempotency_key_by_request ON idempotency_key (route, key, fingerprint);
