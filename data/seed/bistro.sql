-- What a new restaurant starts with. Prices in cents, quantities in the pantry item's unit.
-- Stock lasts a workshop: some ten thousand orders. White truffle is scarce on purpose (twenty portions),
-- so that "sold out" can be met without emptying the house.

INSERT INTO pantry_item (id, name, unit, initial) VALUES
    (1, 'Tomatoes', 'g', 9000000),
    (2, 'Onions', 'g', 7000000),
    (3, 'Garlic', 'g', 900000),
    (4, 'Carrots', 'g', 5000000),
    (5, 'Potatoes', 'g', 15000000),
    (6, 'Red lentils', 'g', 5000000),
    (7, 'Chickpeas', 'g', 6000000),
    (8, 'Aubergine', 'g', 5000000),
    (9, 'Courgette', 'g', 4000000),
    (10, 'Peppers', 'g', 4000000),
    (11, 'Spinach', 'g', 3500000),
    (12, 'Mushrooms', 'g', 4000000),
    (13, 'Lettuce', 'g', 3000000),
    (14, 'Cucumber', 'g', 3000000),
    (15, 'Lemons', 'piece', 60000),
    (16, 'Oranges', 'piece', 120000),
    (17, 'Apples', 'g', 6000000),
    (18, 'Strawberries', 'g', 3000000),
    (19, 'Basil', 'g', 400000),
    (20, 'Mint', 'g', 600000),
    (21, 'Olive oil', 'ml', 3000000),
    (22, 'Butter', 'g', 3000000),
    (23, 'Cream', 'ml', 4000000),
    (24, 'Milk', 'ml', 9000000),
    (25, 'Eggs', 'piece', 120000),
    (26, 'Mozzarella', 'g', 3500000),
    (27, 'Parmesan', 'g', 2000000),
    (28, 'Feta', 'g', 2500000),
    (29, 'Flour', 'g', 9000000),
    (30, 'Sourdough bread', 'g', 5000000),
    (31, 'Spaghetti', 'g', 5000000),
    (32, 'Arborio rice', 'g', 5000000),
    (33, 'Basmati rice', 'g', 6000000),
    (34, 'Couscous', 'g', 3500000),
    (35, 'Chicken', 'g', 7000000),
    (36, 'Beef', 'g', 6000000),
    (37, 'Cod', 'g', 4500000),
    (38, 'Prawns', 'g', 2500000),
    (39, 'Bacon', 'g', 2000000),
    (40, 'Coconut milk', 'ml', 4000000),
    (41, 'Curry paste', 'g', 800000),
    (42, 'Chilli', 'g', 400000),
    (43, 'Sugar', 'g', 5000000),
    (44, 'Dark chocolate', 'g', 2500000),
    (45, 'Coffee beans', 'g', 2000000),
    (46, 'Black tea', 'g', 400000),
    (47, 'White truffle', 'g', 120),
    (48, 'Sparkling water', 'ml', 15000000),
    (49, 'House wine', 'ml', 9000000),
    (50, 'Lager', 'ml', 12000000);

INSERT INTO menu_item (id, name, description, course, price_cents, tags) VALUES
    (1, 'Tomato Soup', 'Slow-roasted tomatoes, basil and a slice of sourdough.',
        'starter', 550, 'vegan'),
    (2, 'Lentil Soup', 'Red lentils with carrot, cumin and a squeeze of lemon.',
        'starter', 520, 'vegan gluten-free'),
    (3, 'Bruschetta', 'Grilled sourdough, ripe tomatoes, garlic and basil.',
        'starter', 580, 'vegan'),
    (4, 'Garlic Prawns', 'Prawns in hot oil with garlic and chilli, bread to mop up.',
        'starter', 920, 'spicy fish'),
    (5, 'Hummus and Flatbread', 'Chickpeas, lemon and garlic with a warm flatbread.',
        'starter', 620, 'vegan'),
    (6, 'Caprese', 'Mozzarella, tomatoes, basil, and the good olive oil.',
        'starter', 790, 'vegetarian gluten-free'),
    (7, 'Mushrooms on Toast', 'Mushrooms in garlic butter on grilled sourdough.',
        'starter', 690, 'vegetarian'),
    (8, 'Baba Ganoush', 'Smoked aubergine with lemon, mint and olive oil.',
        'starter', 610, 'vegan gluten-free'),
    (9, 'Margherita', 'Tomato, mozzarella and basil on a dough that rested for two days.',
        'main', 980, 'vegetarian'),
    (10, 'Pizza Verdura', 'Courgette, peppers, aubergine and mozzarella.',
        'main', 1120, 'vegetarian'),
    (11, 'Spaghetti al Pomodoro', 'Spaghetti, tomatoes, garlic, basil. Nothing else.',
        'main', 890, 'vegan'),
    (12, 'House Salad', 'Lettuce, cucumber, tomatoes and peppers, lemon dressing.',
        'main', 750, 'vegan gluten-free'),
    (13, 'Carbonara', 'Spaghetti with bacon, egg and parmesan; no cream, ever.',
        'main', 1180, ''),
    (14, 'Mushroom Risotto', 'Arborio rice stirred for eighteen minutes, mushrooms, parmesan.',
        'main', 1290, 'vegetarian gluten-free'),
    (15, 'Truffle Risotto', 'White truffle shaved at the table. There is little of it.',
        'main', 2850, 'vegetarian gluten-free'),
    (16, 'Chickpea Curry', 'Chickpeas and spinach in coconut milk, basmati rice.',
        'main', 1090, 'vegan gluten-free spicy'),
    (17, 'Chicken Curry', 'Chicken in coconut milk, basmati rice, some heat.',
        'main', 1320, 'gluten-free spicy'),
    (18, 'Roast Chicken', 'Half a bird, lemon and garlic, roast potatoes.',
        'main', 1490, 'gluten-free'),
    (19, 'Beef Burger', 'Beef, lettuce, tomato and onion in a butter bun, with chips.',
        'main', 1380, ''),
    (20, 'Aubergine Burger', 'Grilled aubergine and feta in a bun, with chips.',
        'main', 1240, 'vegetarian'),
    (21, 'Steak and Chips', 'Beef from the grill, herb butter, chips.',
        'main', 2150, 'gluten-free'),
    (22, 'Beef Stew', 'Beef, carrots and potatoes, braised since the morning.',
        'main', 1560, 'gluten-free'),
    (23, 'Fish and Chips', 'Cod in a crisp batter, chips, lemon.',
        'main', 1420, 'fish'),
    (24, 'Baked Cod', 'Cod with tomatoes, courgette and olive oil.',
        'main', 1680, 'gluten-free fish'),
    (25, 'Vegetable Couscous', 'Carrots, courgette and chickpeas over couscous, with mint.',
        'main', 1050, 'vegan'),
    (26, 'Moussaka', 'Aubergine, beef and potatoes under a golden crust.',
        'main', 1390, ''),
    (27, 'Chips', 'Twice fried, sea salt.',
        'side', 390, 'vegan gluten-free'),
    (28, 'Garlic Bread', 'Sourdough, butter, plenty of garlic.',
        'side', 420, 'vegetarian'),
    (29, 'Green Salad', 'Lettuce and cucumber, lemon and oil.',
        'side', 430, 'vegan gluten-free'),
    (30, 'Creamed Spinach', 'Spinach, cream and a little garlic.',
        'side', 460, 'vegetarian gluten-free'),
    (31, 'Basmati Rice', 'A bowl of it, steamed.',
        'side', 450, 'vegan gluten-free'),
    (32, 'Tiramisu', 'Coffee, cream, eggs and a biscuit, made in the morning.',
        'dessert', 690, 'vegetarian'),
    (33, 'Chocolate Mousse', 'Dark chocolate, eggs, and air.',
        'dessert', 650, 'vegetarian gluten-free'),
    (34, 'Apple Crumble', 'Warm apples under a butter crumble, with cream.',
        'dessert', 620, 'vegetarian'),
    (35, 'Strawberries and Mint', 'Strawberries, sugar, lemon and mint.',
        'dessert', 560, 'vegan gluten-free'),
    (36, 'Espresso', 'Short and strong.',
        'drink', 260, 'vegan gluten-free'),
    (37, 'Cappuccino', 'Espresso with hot milk and foam.',
        'drink', 340, 'vegetarian gluten-free'),
    (38, 'Mint Tea', 'Black tea, fresh mint, sugar on the side.',
        'drink', 320, 'vegan gluten-free'),
    (39, 'Orange Juice', 'Three oranges, pressed when you order.',
        'drink', 430, 'vegan gluten-free'),
    (40, 'Lemonade', 'Lemon, sugar, sparkling water.',
        'drink', 390, 'vegan gluten-free');

INSERT INTO recipe_line (menu_item_id, pantry_item_id, quantity) VALUES
    -- Tomato Soup
    (1, 1, 250), (1, 2, 40), (1, 3, 5), (1, 19, 4), (1, 21, 10), (1, 30, 50),
    -- Lentil Soup
    (2, 6, 80), (2, 4, 60), (2, 2, 40), (2, 3, 5), (2, 15, 1), (2, 21, 10),
    -- Bruschetta
    (3, 30, 90), (3, 1, 120), (3, 3, 5), (3, 19, 4), (3, 21, 15),
    -- Garlic Prawns
    (4, 38, 120), (4, 3, 12), (4, 42, 4), (4, 21, 30), (4, 30, 50),
    -- Hummus and Flatbread
    (5, 7, 120), (5, 15, 1), (5, 3, 5), (5, 21, 15), (5, 29, 80),
    -- Caprese
    (6, 26, 125), (6, 1, 180), (6, 19, 6), (6, 21, 15),
    -- Mushrooms on Toast
    (7, 12, 140), (7, 22, 20), (7, 3, 5), (7, 30, 80),
    -- Baba Ganoush
    (8, 8, 220), (8, 3, 5), (8, 15, 1), (8, 20, 3), (8, 21, 15),
    -- Margherita
    (9, 29, 180), (9, 1, 120), (9, 26, 125), (9, 19, 4), (9, 21, 10),
    -- Pizza Verdura
    (10, 29, 180), (10, 1, 100), (10, 26, 100), (10, 9, 70), (10, 10, 70), (10, 8, 70), (10, 21, 10),
    -- Spaghetti al Pomodoro
    (11, 31, 120), (11, 1, 220), (11, 3, 6), (11, 19, 5), (11, 21, 20),
    -- House Salad
    (12, 13, 120), (12, 14, 80), (12, 1, 100), (12, 10, 50), (12, 15, 1), (12, 21, 15),
    -- Carbonara
    (13, 31, 120), (13, 39, 70), (13, 25, 2), (13, 27, 40),
    -- Mushroom Risotto
    (14, 32, 95), (14, 12, 130), (14, 2, 30), (14, 22, 25), (14, 27, 35),
    -- Truffle Risotto
    (15, 32, 95), (15, 2, 30), (15, 22, 30), (15, 27, 40), (15, 47, 6),
    -- Chickpea Curry
    (16, 7, 160), (16, 11, 60), (16, 40, 120), (16, 41, 15), (16, 2, 50), (16, 33, 90),
    -- Chicken Curry
    (17, 35, 180), (17, 40, 120), (17, 41, 18), (17, 2, 50), (17, 33, 90),
    -- Roast Chicken
    (18, 35, 350), (18, 5, 250), (18, 15, 1), (18, 3, 8), (18, 22, 20),
    -- Beef Burger
    (19, 36, 180), (19, 29, 80), (19, 22, 10), (19, 13, 20), (19, 1, 40), (19, 2, 20), (19, 5, 200),
    -- Aubergine Burger
    (20, 8, 160), (20, 28, 60), (20, 29, 80), (20, 13, 20), (20, 1, 40), (20, 5, 200),
    -- Steak and Chips
    (21, 36, 250), (21, 22, 25), (21, 5, 250), (21, 3, 3),
    -- Beef Stew
    (22, 36, 200), (22, 4, 120), (22, 5, 180), (22, 2, 60), (22, 3, 5), (22, 49, 80),
    -- Fish and Chips
    (23, 37, 200), (23, 29, 70), (23, 50, 80), (23, 5, 280), (23, 15, 1),
    -- Baked Cod
    (24, 37, 200), (24, 1, 120), (24, 9, 100), (24, 3, 5), (24, 21, 20),
    -- Vegetable Couscous
    (25, 34, 90), (25, 4, 80), (25, 9, 80), (25, 7, 60), (25, 20, 3), (25, 21, 15),
    -- Moussaka
    (26, 8, 150), (26, 36, 120), (26, 5, 100), (26, 1, 80), (26, 24, 100), (26, 29, 15), (26, 22, 15),
    -- Chips
    (27, 5, 250), (27, 21, 15),
    -- Garlic Bread
    (28, 30, 100), (28, 22, 20), (28, 3, 8),
    -- Green Salad
    (29, 13, 90), (29, 14, 50), (29, 15, 1), (29, 21, 10),
    -- Creamed Spinach
    (30, 11, 150), (30, 23, 40), (30, 22, 10), (30, 3, 3),
    -- Basmati Rice
    (31, 33, 90),
    -- Tiramisu
    (32, 45, 12), (32, 23, 80), (32, 25, 1), (32, 29, 30), (32, 43, 25),
    -- Chocolate Mousse
    (33, 44, 60), (33, 25, 2), (33, 23, 50), (33, 43, 15),
    -- Apple Crumble
    (34, 17, 180), (34, 29, 50), (34, 22, 30), (34, 43, 30), (34, 23, 40),
    -- Strawberries and Mint
    (35, 18, 180), (35, 43, 10), (35, 15, 1), (35, 20, 3),
    -- Espresso
    (36, 45, 9),
    -- Cappuccino
    (37, 45, 9), (37, 24, 140),
    -- Mint Tea
    (38, 46, 3), (38, 20, 6), (38, 43, 8),
    -- Orange Juice
    (39, 16, 3),
    -- Lemonade
    (40, 15, 1), (40, 43, 25), (40, 48, 300);

UPDATE pantry_item SET portion_max =
    (SELECT coalesce(max(quantity), 0) FROM recipe_line WHERE pantry_item_id = pantry_item.id);

-- Without a password nobody can sign in with these names; the owner sets one.
INSERT INTO person (role, name, created_at_ms) VALUES ('waiter', 'waiter', 0), ('chef', 'chef', 0), ('manager', 'manager', 0);

-- Reordered once two in a hundred are used. White truffle nobody sells.
UPDATE pantry_item SET reorder_at = initial * 98 / 100 WHERE name <> 'White truffle';
