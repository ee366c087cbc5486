-- A restaurant of schema 1 in the midst of its life: three hundred orders of two dishes by thirty guests.

INSERT INTO pantry_item (id, name, unit, initial) VALUES (1, 'Tomatoes', 'g', 9000000), (2, 'White truffle', 'g', 120);
INSERT INTO menu_item (id, name, description, course, price_cents, tags) VALUES
    (1, 'Tomato Soup', 'Slow-roasted tomatoes.', 'starter', 550, 'vegan'),
    (2, 'Truffle Soup', 'There is little of it.', 'starter', 1950, '');
INSERT INTO recipe_line (menu_item_id, pantry_item_id, quantity) VALUES (1, 1, 200), (2, 1, 100), (2, 2, 6);
UPDATE pantry_item SET portion_max = (SELECT max(quantity) FROM recipe_line WHERE pantry_item_id = pantry_item.id);
INSERT INTO person (id, role, name, created_at_ms) VALUES (1, 'waiter', 'waiter', 0), (2, 'manager', 'manager', 0);

CREATE TEMP TABLE number (n INTEGER PRIMARY KEY);
INSERT INTO number WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 300)
    SELECT n FROM counted;
INSERT INTO person (id, role, created_at_ms) SELECT 2 + n, 'guest', n FROM number WHERE n <= 30;
INSERT INTO session (secret_sha256, person_id, minted, created_at_ms, expires_at_ms, last_seen_at_ms)
    VALUES (zeroblob(32), 3, 0, 1, 2, 1);

-- Order n is of 1 to 3 soups; the last ten have a truffle soup each as well.
INSERT INTO orders (seq, id, person_id, table_number, state, total_cents, placed_at_ms)
    SELECT n, printf('ord_%026d', n), 3 + n % 30, 1 + n % 20, 'placed', 550 * (1 + n % 3) + 1950 * (n > 290), 1000 + n
    FROM number;
INSERT INTO order_line (order_seq, line, menu_item_id, name, quantity, unit_price_cents, line_total_cents)
    SELECT n, 1, 1, 'Tomato Soup', 1 + n % 3, 550, 550 * (1 + n % 3) FROM number
    UNION ALL SELECT n, 2, 2, 'Truffle Soup', 1, 1950, 1950 FROM number WHERE n > 290;
INSERT INTO ticket (id, order_seq, state, queued_at_ms) SELECT 1000 + n, n, 'waiting', 1000 + n FROM number;
UPDATE kitchen SET waiting = 300;
UPDATE pantry_item SET used = (
    SELECT coalesce(sum(recipe_line.quantity * order_line.quantity), 0)
    FROM order_line JOIN recipe_line USING (menu_item_id) WHERE pantry_item_id = pantry_item.id);
INSERT INTO entry (order_seq, account, amount_cents, at_ms)
    SELECT seq, 'receivable', total_cents, placed_at_ms FROM orders
    UNION ALL SELECT seq, 'sales', -total_cents, placed_at_ms FROM orders;
UPDATE account SET balance_cents = (SELECT sum(amount_cents) FROM entry WHERE account = account.id), entries = 300;
INSERT INTO idempotency_key (person_id, route, key, fingerprint, order_seq, created_at_ms)
    VALUES (10, 'orders', 'lunch', zeroblob(32), 7, 1800000000000);
DROP TABLE number;
