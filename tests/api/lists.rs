//! Lists in pages: cursors, filters, sorting.

use serde_json::{Value, json};

use crate::harness::people::Person;
use crate::harness::{House, order_of};
use crate::life::Quiet;

const ORDERS: &str = "/api/v1/orders";

fn ids(document: &Value) -> Vec<String> {
    let orders = document["orders"].as_array().expect("orders");
    orders.iter().map(|order| order["id"].as_str().expect("an id").to_owned()).collect()
}

/// Every page of a list, by following `Link`.
async fn walk(person: &Person, path: &str) -> Vec<Vec<String>> {
    let (mut pages, mut at) = (Vec::new(), path.to_owned());
    loop {
        let page = person.get(&at).await;
        assert_eq!(page.status, 200, "{at}: {}", page.text());
        pages.push(ids(&page.json()));
        let Some(next) = page.json()["next"].as_str().map(str::to_owned) else {
            assert_eq!(page.header("link"), "");
            return pages;
        };
        let link = page.header("link").to_owned();
        let (address, rest) = link.strip_prefix('<').and_then(|link| link.split_once('>')).expect("a link");
        assert_eq!(rest, "; rel=\"next\"");
        assert!(address.starts_with(ORDERS) && address.contains(&next), "{link}");
        at = address.to_owned();
    }
}

async fn place(person: &Person, table: u16, dish: i64, quantity: i64, draft: bool) -> Value {
    let mut body = order_of(dish, quantity);
    (body["table"], body["draft"]) = (json!(table), json!(draft));
    let placed = person.post(ORDERS, &body).await;
    assert_eq!(placed.status, 201, "{}", placed.text());
    placed.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_hold_each_order_once_though_more_come_between_them() {
    let quiet = Quiet::open().await;
    let guest = quiet.house.visitor();
    let mut placed = Vec::new();
    for _ in 0..7 {
        placed.push(place(&guest, 4, 12, 1, false).await["id"].as_str().expect("an id").to_owned());
    }
    placed.reverse();
    for limit in [1, 2, 3, 7, 100] {
        let pages = walk(&guest, &format!("{ORDERS}?limit={limit}")).await;
        assert!(pages.iter().all(|page| page.len() <= limit), "{pages:?}");
        assert_eq!(pages.len(), 7_usize.div_ceil(limit));
        assert_eq!(pages.concat(), placed);
    }
    let first = guest.get(&format!("{ORDERS}?limit=3")).await.json();
    place(&guest, 4, 12, 1, false).await;
    let cursor = first["next"].as_str().expect("a cursor");
    let second = guest.get(&format!("{ORDERS}?cursor={cursor}&limit=3")).await.json();
    assert_eq!(ids(&second), placed[3..6], "what was added moves nothing");
    quiet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_narrowed_and_sorted_as_asked() {
    let quiet = Quiet::open().await;
    let house = &quiet.house;
    let (one, two) = (house.visitor(), house.visitor());
    let waiter = house.staff("waiter").await;
    let mut all = Vec::new();
    for (person, table, quantity, draft) in
        [(&one, 1, 3, false), (&two, 2, 1, false), (&one, 2, 2, true), (&two, 1, 5, false), (&one, 1, 4, true)]
    {
        all.push(place(person, table, 12, quantity, draft).await);
    }
    let cancelled = &all[1]["id"].as_str().expect("an id");
    assert_eq!(two.send(two.fair("POST", &format!("{ORDERS}/{cancelled}/cancel"))).await.status, 200);
    let named = |indices: &[usize]| -> Vec<String> {
        indices.iter().map(|&index| all[index]["id"].as_str().expect("an id").to_owned()).collect()
    };
    let moment = |index: usize| all[index]["placed_at"].as_str().expect("a time").replace('+', "%2B");
    let range = format!("placed_from={}&placed_to={}", moment(0), moment(3));
    for (person, query, expected) in [
        (&waiter, String::new(), &[4, 3, 2, 1, 0][..]),
        (&waiter, "sort=-placed".to_owned(), &[4, 3, 2, 1, 0]),
        (&waiter, "sort=placed".to_owned(), &[0, 1, 2, 3, 4]),
        (&waiter, "sort=total".to_owned(), &[1, 2, 0, 4, 3]),
        (&waiter, "sort=-total".to_owned(), &[3, 4, 0, 2, 1]),
        (&one, "sort=-total".to_owned(), &[4, 0, 2]),
        (&two, "sort=placed".to_owned(), &[1, 3]),
        (&waiter, "state=draft".to_owned(), &[4, 2]),
        (&waiter, "state=placed&sort=placed".to_owned(), &[0, 3]),
        (&waiter, "state=placed&sort=-total".to_owned(), &[3, 0]),
        (&waiter, "table=1".to_owned(), &[4, 3, 0]),
        (&waiter, "table=1&sort=total".to_owned(), &[0, 4, 3]),
        (&waiter, "table=1&state=draft".to_owned(), &[4]),
        (&two, "table=2&state=cancelled".to_owned(), &[1]),
        (&waiter, "state=refunded".to_owned(), &[]),
        // Until before: the last one is not in it; a draft was never placed.
        (&waiter, range.clone(), &[1, 0]),
        (&waiter, format!("{range}&sort=total"), &[1, 0]),
        (&waiter, format!("placed_from={}", moment(1)), &[3, 1]),
    ] {
        let whole = person.get(&format!("{ORDERS}?{query}")).await;
        assert_eq!(whole.status, 200, "{query}: {}", whole.text());
        assert_eq!(ids(&whole.json()), named(expected), "{query}");
        let pages = walk(person, &format!("{ORDERS}?{query}&limit=1")).await;
        assert_eq!(pages.concat(), named(expected), "{query}, one by one");
    }
    quiet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_is_wrong_is_refused_parameter_by_parameter() {
    let house = House::open().await;
    let guest = house.visitor();
    for _ in 0..3 {
        place(&guest, 4, 12, 1, true).await;
    }
    let page = guest.get(&format!("{ORDERS}?limit=1&state=draft")).await.json();
    let cursor = page["next"].as_str().expect("a cursor");
    let tampered = cursor.replace(&cursor[10..12], if &cursor[10..12] == "00" { "01" } else { "00" });
    for (query, pointers) in [
        ("limit=0".to_owned(), vec!["/limit"]),
        ("limit=101".to_owned(), vec!["/limit"]),
        ("limit=-1&state=eaten&table=21&sort=name".to_owned(), vec!["/state", "/table", "/sort", "/limit"]),
        ("table=0".to_owned(), vec!["/table"]),
        ("placed_from=today&placed_to=1".to_owned(), vec!["/placed_from", "/placed_to"]),
        ("status=draft".to_owned(), vec!["/status"]),
        ("state=draft&state=paid".to_owned(), vec!["/state"]),
        ("cursor=".to_owned(), vec!["/cursor"]),
        ("cursor=00".to_owned(), vec!["/cursor"]),
        (format!("state=draft&cursor={tampered}"), vec!["/cursor"]),
        (format!("state=draft&cursor={}", cursor.to_uppercase()), vec!["/cursor"]),
        (format!("state=placed&cursor={cursor}"), vec!["/cursor"]),
        (format!("cursor={cursor}"), vec!["/cursor"]),
        (format!("state=draft&sort=placed&cursor={cursor}"), vec!["/cursor"]),
    ] {
        let reply = guest.get(&format!("{ORDERS}?{query}")).await;
        assert_eq!(reply.status, 400, "{query}: {}", reply.text());
        reply.is_problem(400, "bad-query", Some("api"));
        assert_eq!(reply.pointers(), pointers, "{query}");
    }
    let used = guest.get(&format!("{ORDERS}?state=draft&limit=2&cursor={cursor}")).await;
    assert_eq!(ids(&used.json()).len(), 2, "another limit is the same list");
    house.stop().await;
}
