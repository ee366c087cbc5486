-- The life of an order after (and before) it is placed: drafts, the kitchen's work, payment, purchases.
-- Tables whose CHECKs change are made anew (sqlite.org/lang_altertable.html, section 7).

-- What was placed is never deleted. What never was goes when it was left alone for a day, which leaves gaps in
-- `seq`. Tables that grow and have no index by order or by person don't REFERENCE them: each deletion would read
-- them whole. The trigger below and the audit keep what they say true.
-- `version` counts every change of an order: it is the entity tag that a change can be bound to.
CREATE TABLE new_orders (
    seq           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    person_id     INTEGER NOT NULL REFERENCES person,
    table_number  INTEGER NOT NULL CHECK (table_number > 0),
    state         TEXT NOT NULL CHECK (state IN
                      ('draft', 'placed', 'cooking', 'ready', 'served', 'paid', 'cancelled', 'refunded')),
    version       INTEGER NOT NULL DEFAULT 1 CHECK (version > 0),
    total_cents   INTEGER NOT NULL CHECK (total_cents >= 0),
    created_at_ms INTEGER NOT NULL,
    -- NULL as long as, or because, it was never placed.
    placed_at_ms  INTEGER CHECK (placed_at_ms IS NOT NULL OR state IN ('draft', 'cancelled')),
    changed_at_ms INTEGER NOT NULL,
    -- Where lists by time have it: a draft, by when it was begun.
    listed_at_ms  INTEGER GENERATED ALWAYS AS (coalesce(placed_at_ms, created_at_ms)) VIRTUAL
) STRICT;
INSERT INTO new_orders (seq, id, person_id, table_number, state, total_cents, created_at_ms, placed_at_ms, changed_at_ms)
    SELECT seq, id, person_id, table_number, state, total_cents, placed_at_ms, placed_at_ms, placed_at_ms FROM orders;
DROP TABLE orders;
ALTER TABLE new_orders RENAME TO orders;
-- Each ends with `seq`, the rowid, as every index does: among equals a page of a list knows where it ended.
CREATE INDEX orders_by_person ON orders (person_id, listed_at_ms);
CREATE INDEX orders_by_state ON orders (state, listed_at_ms);
CREATE INDEX orders_by_table ON orders (table_number, listed_at_ms);
CREATE INDEX orders_by_time ON orders (listed_at_ms);
CREATE INDEX orders_by_total ON orders (total_cents);
CREATE INDEX orders_never_placed ON orders (changed_at_ms) WHERE placed_at_ms IS NULL;
CREATE TRIGGER placed_order_is_never_deleted BEFORE DELETE ON orders WHEN OLD.placed_at_ms IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'a placed order is never deleted'); END;
CREATE INDEX orders_draft ON orders (person_id) WHERE state = 'draft';

-- A ticket is a durable job. It is cooked under a lease with a number. Once the lease has run out anybody may put the
-- ticket back, and then what is reported under that number changes nothing; until somebody has, it still counts.
CREATE TABLE new_ticket (
    id             INTEGER PRIMARY KEY,
    order_seq      INTEGER NOT NULL UNIQUE REFERENCES orders,
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'cooking', 'done', 'dead', 'cancelled')),
    -- Higher goes first.
    priority       INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN -1 AND 1),
    queued_at_ms   INTEGER NOT NULL,
    -- Not before: a later attempt backs off.
    due_at_ms      INTEGER NOT NULL,
    attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- Number of the latest lease, counted up: a fencing token.
    lease          INTEGER NOT NULL DEFAULT 0,
    worker         TEXT,
    lease_until_ms INTEGER,
    last_error     TEXT,
    ended_at_ms    INTEGER,
    CHECK ((state = 'cooking') = (worker IS NOT NULL)),
    CHECK ((state = 'cooking') = (lease_until_ms IS NOT NULL)),
    CHECK ((state IN ('done', 'dead', 'cancelled')) = (ended_at_ms IS NOT NULL))
) STRICT;
INSERT INTO new_ticket (id, order_seq, state, queued_at_ms, due_at_ms)
    SELECT id, order_seq, state, queued_at_ms, queued_at_ms FROM ticket;
DROP TABLE ticket;
ALTER TABLE new_ticket RENAME TO ticket;
CREATE INDEX ticket_waiting ON ticket (priority DESC, due_at_ms, id) WHERE state = 'waiting';
CREATE INDEX ticket_cooking ON ticket (lease_until_ms) WHERE state = 'cooking';
CREATE INDEX ticket_dead ON ticket (id) WHERE state = 'dead';

-- One row: the lengths are kept, since counting would cost more with every order.
CREATE TABLE new_kitchen (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    waiting  INTEGER NOT NULL CHECK (waiting >= 0),
    cooking  INTEGER NOT NULL DEFAULT 0 CHECK (cooking >= 0),
    dead     INTEGER NOT NULL DEFAULT 0 CHECK (dead >= 0),
    paused   INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1))
) STRICT;
INSERT INTO new_kitchen (only_row, waiting) SELECT only_row, waiting FROM kitchen;
DROP TABLE kitchen;
ALTER TABLE new_kitchen RENAME TO kitchen;

-- What happened to an order once it was placed, and who did it (NULL: the kitchen's workers).
CREATE TABLE order_event (
    id        INTEGER PRIMARY KEY,
    order_seq INTEGER NOT NULL REFERENCES orders,
    action    TEXT NOT NULL,
    person_id INTEGER,
    at_ms     INTEGER NOT NULL
) STRICT;
CREATE INDEX order_event_by_order ON order_event (order_seq, id);

-- More is bought when the stock falls to `reorder_at`: as much as fills it up to `initial` again.
-- NULL: nobody sells it.
ALTER TABLE pantry_item ADD COLUMN reorder_at INTEGER CHECK (reorder_at >= 0);
UPDATE pantry_item SET reorder_at = initial * 98 / 100 WHERE name <> 'White truffle';

-- What is to be bought, written with the order that made it necessary: nothing is forgotten when the
-- supplier does not answer. `key` is the Idempotency-Key that the supplier gets, however often it is asked.
CREATE TABLE purchase (
    id              INTEGER PRIMARY KEY,
    key             TEXT NOT NULL UNIQUE,
    pantry_item_id  INTEGER NOT NULL REFERENCES pantry_item,
    quantity        INTEGER NOT NULL CHECK (quantity > 0),
    state           TEXT NOT NULL CHECK (state IN ('wanted', 'asking', 'delivered', 'refused')),
    attempts        INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    wanted_at_ms    INTEGER NOT NULL,
    due_at_ms       INTEGER NOT NULL,
    lease           INTEGER NOT NULL DEFAULT 0,
    lease_until_ms  INTEGER,
    last_error      TEXT,
    -- The supplier's number for it.
    delivery        TEXT,
    cost_cents      INTEGER CHECK (cost_cents >= 0),
    ended_at_ms     INTEGER,
    CHECK ((state = 'asking') = (lease_until_ms IS NOT NULL)),
    CHECK ((state = 'delivered') = (cost_cents IS NOT NULL)),
    CHECK ((state IN ('delivered', 'refused')) = (ended_at_ms IS NOT NULL))
) STRICT;
-- One at a time of each item.
CREATE UNIQUE INDEX purchase_open ON purchase (pantry_item_id) WHERE state IN ('wanted', 'asking');
CREATE INDEX purchase_due ON purchase (due_at_ms, id) WHERE state = 'wanted';
CREATE INDEX purchase_asking ON purchase (lease_until_ms) WHERE state = 'asking';
-- The last delivery of an item.
CREATE INDEX purchase_delivered ON purchase (pantry_item_id, id) WHERE state = 'delivered';

-- A transaction of the ledger is what shares kind and order (or purchase); its entries sum to zero.
CREATE TABLE new_entry (
    id           INTEGER PRIMARY KEY,
    kind         TEXT NOT NULL CHECK (kind IN ('sale', 'payment', 'cancellation', 'refund', 'delivery')),
    order_seq    INTEGER,
    purchase_id  INTEGER REFERENCES purchase,
    account      TEXT NOT NULL REFERENCES account,
    -- Debits positive, credits negative.
    amount_cents INTEGER NOT NULL,
    at_ms        INTEGER NOT NULL,
    CHECK ((order_seq IS NULL) = (kind = 'delivery')),
    CHECK ((purchase_id IS NULL) = (kind <> 'delivery'))
) STRICT;
INSERT INTO new_entry (id, kind, order_seq, account, amount_cents, at_ms)
    SELECT id, 'sale', order_seq, account, amount_cents, at_ms FROM entry;
DROP TABLE entry;
ALTER TABLE new_entry RENAME TO entry;
CREATE TRIGGER entry_is_never_changed BEFORE UPDATE ON entry
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
-- REPLACE deletes without the trigger above (sqlite.org/lang_conflict.html).
CREATE TRIGGER entry_is_never_replaced BEFORE INSERT ON entry WHEN EXISTS (SELECT 1 FROM entry WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
INSERT INTO account VALUES ('cash', 0, 0), ('refunds', 0, 0), ('supplies', 0, 0), ('payable', 0, 0);

-- A business day ends when the manager closes it; what is booked afterwards belongs to the next.
CREATE TABLE business_day (
    id               INTEGER PRIMARY KEY,
    -- Entries of this day: after the last of the day before, up to this one.
    last_entry       INTEGER NOT NULL,
    -- What guests owed when it was closed, of this day and those before.
    receivable_cents INTEGER NOT NULL,
    closed_at_ms     INTEGER NOT NULL,
    person_id        INTEGER NOT NULL
) STRICT;
CREATE TABLE business_day_line (
    day_id       INTEGER NOT NULL REFERENCES business_day,
    kind         TEXT NOT NULL,
    account      TEXT NOT NULL REFERENCES account,
    entries      INTEGER NOT NULL,
    amount_cents INTEGER NOT NULL,
    PRIMARY KEY (day_id, kind, account)
) STRICT, WITHOUT ROWID;
-- The same of the day that is not closed yet: kept, since adding it up would cost more with every order.
CREATE TABLE open_day_line (
    kind         TEXT NOT NULL,
    account      TEXT NOT NULL REFERENCES account,
    entries      INTEGER NOT NULL,
    amount_cents INTEGER NOT NULL,
    PRIMARY KEY (kind, account)
) STRICT, WITHOUT ROWID;
INSERT INTO open_day_line SELECT kind, account, count(*), sum(amount_cents) FROM entry GROUP BY kind, account;

-- The answer is kept as it was given: the order may have changed since.
CREATE TABLE new_idempotency_key (
    person_id     INTEGER NOT NULL REFERENCES person,
    route         TEXT NOT NULL,
    key           TEXT NOT NULL,
    fingerprint   BLOB NOT NULL CHECK (length(fingerprint) = 32),
    -- NULL: a business day was closed.
    order_seq     INTEGER,
    -- JSON of the order (or day) at that moment; NULL for one of before this column.
    answer        TEXT,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (person_id, route, key)
) STRICT, WITHOUT ROWID;
INSERT INTO new_idempotency_key (person_id, route, key, fingerprint, order_seq, created_at_ms)
    SELECT person_id, route, key, fingerprint, order_seq, created_at_ms FROM idempotency_key;
DROP TABLE idempotency_key;
ALTER TABLE new_idempotency_key RENAME TO idempotency_key;
CREATE INDEX idempotency_key_by_age ON idempotency_key (created_at_ms);
CREATE INDEX idempotency_key_by_request ON idempotency_key (route, key, fingerprint);
