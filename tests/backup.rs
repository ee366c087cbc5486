//! Backups: a copy is of one moment and whole, what is not sound is refused, and a restore is all or nothing.

mod harness;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use harness::people::Ask;
use harness::{House, order_of};
use roundtrip::domain::order::{LineRequest, OrderRequest};
use roundtrip::domain::permission::Scope;
use roundtrip::domain::session::Owner;
use roundtrip::domain::token::NewToken;
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::SpanId;
use roundtrip::observe::span::{Context, Span, Trace};
use roundtrip::policy::retention::Retention;
use roundtrip::store::backup::{BackupError, Backups, Reason};
use roundtrip::store::bistro::{Bistro, NewOrder, Options};
use roundtrip::store::control::{self, Control};
use roundtrip::store::generate::generate;
use roundtrip::store::verify::{Report, verify};
use roundtrip::web::secret;
use rusqlite::Connection;
use serde_json::{Value, json};
use time::OffsetDateTime;

fn folder_with(orders: u64, seed: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    generate(folder.path(), orders, seed, &mut |_| {}).expect("orders");
    folder
}

fn report(folder: &Path) -> Report {
    let report = verify(folder).expect("a data folder");
    assert_eq!(report.wrong, Vec::<String>::new());
    report
}

fn database(folder: &Path) -> Connection {
    Connection::open(folder.join("bistro.db")).expect("the database")
}

/// The one backup that is there.
fn the_backup(folder: &Path) -> PathBuf {
    let name = Backups::of(folder).list().expect("a list").remove(0).name;
    folder.join("backups").join(name)
}

fn span() -> Span {
    Trace::start(Context::new_root(), SpanId::random(), Hop::Service, "a test", Tick::now())
}

async fn place(bistro: &Bistro) -> String {
    let lines = vec![LineRequest { menu_item_id: 12, quantity: 1 }];
    let new = NewOrder { person: None, request: OrderRequest { table: 4, lines }, idempotency: None };
    bistro.place_order(&span(), new).await.expect("an order").order.id.as_str().to_owned()
}

fn ids_in(path: &Path) -> BTreeSet<String> {
    let db = Connection::open(path).expect("the copy");
    let mut ids = db.prepare("SELECT id FROM orders").expect("orders");
    ids.query_map([], |row| row.get(0)).expect("rows").map(|id| id.expect("an id")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_under_load_is_of_one_moment_and_has_all_that_was_acknowledged_before() {
    let folder = folder_with(2_000, 1);
    let bistro = Bistro::open(&folder.path().join("bistro.db"), Options::default()).expect("it opens");
    let stop = Arc::new(AtomicBool::new(false));
    let mut acknowledged = BTreeSet::new();
    for _ in 0..20 {
        acknowledged.insert(place(&bistro).await);
    }
    let load = tokio::spawn({
        let (bistro, stop) = (bistro.clone(), Arc::clone(&stop));
        async move {
            let mut placed = 0;
            while !stop.load(Relaxed) {
                place(&bistro).await;
                placed += 1;
            }
            placed
        }
    });
    let backups = Backups::of(folder.path());
    let made = tokio::task::spawn_blocking({
        let (backups, bistro) = (backups.clone(), bistro.clone());
        move || backups.create(Reason::Manual, Some(&bistro))
    });
    let made = made.await.expect("an end").expect("a backup");
    stop.store(true, Relaxed);
    assert!(load.await.expect("an end") > 0);
    let copied = ids_in(&folder.path().join("backups").join(&made.name).join("bistro.db"));
    assert!(acknowledged.is_subset(&copied));
    assert_eq!(made.orders, Some(copied.len() as i64));
    let verified = backups.verify(&made.name).expect("a report");
    assert_eq!((verified.ok, verified.orders), (true, copied.len() as i64));
    bistro.close().await.expect("an orderly close");
}

#[tokio::test]
async fn a_backup_holds_two_databases_and_their_manifest_and_neither_keys_nor_sign_ins() {
    let folder = folder_with(10, 1);
    let control = Control::open(&folder.path().join("control.db"), control::Options::default()).expect("control.db");
    let owner = Owner { name: "ada".to_owned(), password_phc: "$argon2id$".to_owned() };
    assert!(control.create_owner(owner).await.expect("an answer"));
    control.create_setup_token().await.expect("a token");
    let bistro = Bistro::open(&folder.path().join("bistro.db"), Options::default()).expect("it opens");
    bistro.mint_session(roundtrip::domain::permission::Role::Waiter).await.expect("a session");
    for name in ["control.key", "ca.key", "run.json", "master.key"] {
        fs::write(folder.path().join(name), "secret").expect("a file");
    }
    Backups::of(folder.path()).create(Reason::Manual, Some(&bistro)).expect("a backup");
    let made = the_backup(folder.path());
    let mut names: Vec<_> = fs::read_dir(&made).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["bistro.db", "control.db", "manifest.json"]);
    let count = |file: &str, sql: &str| {
        let db = Connection::open(made.join(file)).expect("the copy");
        db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a count")
    };
    assert_eq!(count("control.db", "SELECT (SELECT count(*) FROM session) + (SELECT count(*) FROM setup_token)"), 0);
    assert_eq!(count("control.db", "SELECT count(*) FROM owner"), 1);
    assert_eq!(count("bistro.db", "SELECT count(*) FROM session"), 0);
    bistro.close().await.expect("an orderly close");
    control.close().await.expect("an orderly close");
}

#[cfg(unix)]
#[test]
fn a_backup_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder_with(10, 1);
    Backups::of(folder.path()).create(Reason::Manual, None).expect("a backup");
    let made = the_backup(folder.path());
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder.path().join("backups")), mode(&made)), (0o700, 0o700));
    for name in ["bistro.db", "manifest.json"] {
        assert_eq!(mode(&made.join(name)), 0o600, "{name}");
    }
}

#[test]
fn the_manifest_says_what_is_in_it() {
    let folder = folder_with(10, 1);
    Backups::of(folder.path()).create(Reason::Manual, None).expect("a backup");
    let made = the_backup(folder.path());
    let manifest: Value = serde_json::from_slice(&fs::read(made.join("manifest.json")).expect("a file")).expect("JSON");
    let bytes = fs::read(made.join("bistro.db")).expect("the copy");
    let file = &manifest["files"][0];
    assert_eq!(file["name"], "bistro.db");
    assert_eq!(file["bytes"], bytes.len());
    assert_eq!(file["sha256"], secret::hex(&secret::sha256(&bytes)));
    assert_eq!(file["schema"], 2);
    assert_eq!((&manifest["counts"]["orders"], &manifest["reason"]), (&json!(10), &json!("manual")));
    assert_eq!(manifest["program"], env!("CARGO_PKG_VERSION"));
}

/// Something that happens to a backup, and what is said of it.
type Harm = (fn(&Path), &'static str);

#[test]
fn what_is_not_sound_is_never_restored_and_nothing_is_touched() {
    let harms: [Harm; 4] = [
        (
            |made| {
                let path = made.join("bistro.db");
                let mut bytes = fs::read(&path).expect("the copy");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(&path, bytes).expect("a file");
            },
            "SHA-256",
        ),
        (|made| fs::remove_file(made.join("bistro.db")).expect("a file"), "can't be read"),
        (|made| fs::write(made.join("manifest.json"), "{}").expect("a file"), "no backup named"),
        (
            // Sound as a file, and wrong as a restaurant.
            |made| {
                let db = Connection::open(made.join("bistro.db")).expect("the copy");
                db.execute("UPDATE pantry_item SET used = used + 1 WHERE id = 1", []).expect("a change");
                db.close().expect("an end");
                let bytes = fs::read(made.join("bistro.db")).expect("the copy");
                let path = made.join("manifest.json");
                let mut manifest: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
                manifest["files"][0]["sha256"] = json!(secret::hex(&secret::sha256(&bytes)));
                manifest["files"][0]["bytes"] = json!(bytes.len());
                fs::write(&path, manifest.to_string()).expect("a file");
            },
            "pantry items whose use",
        ),
    ];
    for (harm, why) in harms {
        let folder = folder_with(50, 1);
        let backups = Backups::of(folder.path());
        let name = backups.create(Reason::Manual, None).expect("a backup").name;
        generate(folder.path(), 5, 2, &mut |_| {}).expect("orders");
        let before = fs::read(folder.path().join("bistro.db")).expect("the database");
        harm(&folder.path().join("backups").join(&name));
        let refused = backups.restore(&name, false).expect_err("is refused").to_string();
        assert!(refused.contains(why), "{refused}");
        assert_eq!(fs::read(folder.path().join("bistro.db")).expect("the database"), before);
        let left: Vec<_> = fs::read_dir(folder.path().join("backups")).expect("a folder").flatten().collect();
        assert_eq!(left.len(), 1, "nothing unfinished is left: {left:?}");
    }
}

#[test]
fn a_restore_brings_back_that_moment_and_keeps_the_one_before_it() {
    let folder = folder_with(100, 1);
    let backups = Backups::of(folder.path());
    let then = report(folder.path());
    let name = backups.create(Reason::Manual, None).expect("a backup").name;
    generate(folder.path(), 20, 2, &mut |_| {}).expect("orders");
    let now = report(folder.path());
    assert_eq!((then.orders, now.orders), (100, 120));

    let restored = backups.restore(&name, false).expect("restored");
    assert_eq!(report(folder.path()), then);
    assert_eq!(restored.order_ids_sha256, then.order_ids_sha256);
    let safety = restored.safety.expect("a copy of what was there");
    assert_eq!(backups.verify(&safety).expect("a report"), now);
    backups.restore(&safety, false).expect("restored");
    assert_eq!(report(folder.path()), now);
}

#[tokio::test]
async fn a_restore_of_what_was_there_before_a_restore_revives_no_session() {
    let folder = folder_with(5, 1);
    let control = Control::open(&folder.path().join("control.db"), control::Options::default()).expect("control.db");
    let backups = Backups::of(folder.path());
    let name = backups.create(Reason::Manual, None).expect("a backup").name;
    let bistro = Bistro::open(&folder.path().join("bistro.db"), Options::default()).expect("it opens");
    bistro.mint_session(roundtrip::domain::permission::Role::Waiter).await.expect("a session");
    bistro.close().await.expect("an orderly close");
    control.create_setup_token().await.expect("a token");
    let new = NewToken { name: "ci".to_owned(), scopes: vec![Scope::Read], days: 1 };
    control.create_token(new, "owner").await.expect("a token");
    control.close().await.expect("an orderly close");

    let safety = backups.restore(&name, true).expect("restored").safety.expect("a copy of what was there");
    backups.restore(&safety, true).expect("restored");
    let count = |file: &str, table: &str| {
        let db = Connection::open(folder.path().join(file)).expect("the database");
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).expect("a count")
    };
    assert_eq!((count("bistro.db", "session"), count("control.db", "setup_token")), (0, 0));
    assert_eq!(count("control.db", "token"), 0, "a token that was revoked since must not come back");
}

#[tokio::test]
async fn what_was_never_placed_is_counted_as_an_order_nowhere() {
    let folder = folder_with(5, 1);
    let draft = "INSERT INTO orders (id, person_id, table_number, state, total_cents, created_at_ms, changed_at_ms) \
                 SELECT 'draft', person_id, 1, 'draft', 0, 0, 0 FROM orders LIMIT 1";
    database(folder.path()).execute(draft, []).expect("a draft");
    let backups = Backups::of(folder.path());
    let made = backups.create(Reason::Manual, None).expect("a backup");
    let bistro = Bistro::open(&folder.path().join("bistro.db"), Options::default()).expect("it opens");
    let counted = bistro.counts().await.expect("counts").orders;
    bistro.mint_session(roundtrip::domain::permission::Role::Waiter).await.expect("a session");
    bistro.close().await.expect("an orderly close");
    assert_eq!((report(folder.path()).orders, made.orders, counted), (5, Some(5), 5));
}

#[test]
fn a_destroyed_database_is_kept_as_it_is_and_replaced() {
    type Destroy = fn(&Path);
    let ways: [(Destroy, bool); 4] = [
        (|path| fs::write(path, vec![0xA5; 100_000]).expect("a file"), true),
        (|path| fs::write(path, "").expect("a file"), true),
        (|path| fs::remove_file(path).expect("a file"), false),
        (
            // A log of another file beside it must not be applied to what is restored.
            |path| {
                fs::write(path, vec![0; 8_192]).expect("a file");
                fs::write(path.with_file_name("bistro.db-wal"), vec![7; 40_000]).expect("a file");
            },
            true,
        ),
    ];
    for (destroy, kept) in ways {
        let folder = folder_with(100, 1);
        let then = report(folder.path());
        let backups = Backups::of(folder.path());
        let name = backups.create(Reason::Manual, None).expect("a backup").name;
        destroy(&folder.path().join("bistro.db"));
        assert!(!verify(folder.path()).is_ok_and(|report| report.ok));
        let restored = backups.restore(&name, false).expect("restored");
        assert_eq!(restored.safety.is_some(), kept);
        assert_eq!(report(folder.path()), then);
    }
}

#[test]
fn only_the_schedules_backups_are_deleted_by_their_age() {
    let folder = folder_with(5, 1);
    let backups = Backups::of(folder.path());
    let names = |reason| -> Vec<String> {
        let all = backups.list().expect("a list").into_iter();
        all.filter(|backup| backup.reason == reason).map(|backup| backup.name).collect()
    };
    backups.create(Reason::Manual, None).expect("a backup");
    for _ in 0..3 {
        backups.create(Reason::Hourly, None).expect("a backup");
    }
    fs::create_dir(folder.path().join("backups/.unfinished-of-before")).expect("a folder");
    let newest = names(Reason::Hourly)[0].clone();
    let one = Retention { latest: 1, days: 1 };
    assert_eq!(backups.expire(one, OffsetDateTime::now_utc(), None).expect("an end"), 2);
    assert_eq!(names(Reason::Hourly), [newest]);
    assert_eq!(names(Reason::Manual).len(), 1);
    assert_eq!(fs::read_dir(folder.path().join("backups")).expect("a folder").count(), 2);
}

#[test]
fn a_backup_of_a_clock_that_was_ahead_stands_in_no_others_way() {
    let folder = folder_with(5, 1);
    let backups = Backups::of(folder.path());
    let first = backups.create(Reason::Hourly, None).expect("a backup");
    let ahead = backups.create(Reason::Hourly, None).expect("a backup");
    let (one, now) = (Retention { latest: 1, days: 1 }, first.created_at);
    assert_eq!(backups.expire(one, now, Some(&ahead.name)).expect("an end"), 0, "it was made just now");
    assert_eq!(backups.expire(one, now, None).expect("an end"), 1);
    assert_eq!(backups.list().expect("a list")[0].name, first.name);
}

#[test]
fn a_name_leads_nowhere_else() {
    let folder = folder_with(5, 1);
    let backups = Backups::of(folder.path());
    backups.create(Reason::Manual, None).expect("a backup");
    for name in ["", ".", "..", "../backups", "a/b", ".unfinished-x", &"a".repeat(200)] {
        assert!(matches!(backups.restore(name, false), Err(BackupError::Unknown(_))), "{name}");
    }
}

#[test]
fn whatever_is_wrong_with_the_data_is_found_and_said() {
    let harms = [
        ("UPDATE pantry_item SET used = used + 1 WHERE id = 1", "pantry items whose use"),
        ("UPDATE pantry_item SET delivered = delivered + 1 WHERE id = 1", "pantry items whose deliveries"),
        ("UPDATE account SET balance_cents = balance_cents + 1 WHERE id = 'cash'", "accounts whose balance"),
        ("UPDATE open_day_line SET entries = entries + 1 WHERE kind = 'payment'", "totals of the open day"),
        ("UPDATE kitchen SET waiting = waiting + 1", "queues whose lengths"),
        ("DELETE FROM ticket WHERE order_seq = 1", "placed orders without a ticket"),
        ("UPDATE orders SET state = 'cooking' WHERE seq = 1", "orders whose state is not that of their ticket"),
        ("UPDATE orders SET total_cents = total_cents + 1 WHERE seq = 1", "orders whose lines don't add up"),
        (
            "UPDATE order_line SET quantity = quantity + 1 WHERE order_seq = 1",
            "lines that are not price times quantity",
        ),
        (
            "INSERT INTO entry (kind, order_seq, account, amount_cents, at_ms) VALUES ('sale', 1, 'cash', 5, 0)",
            "the ledger sums to 5",
        ),
        (
            "PRAGMA foreign_keys = OFF; UPDATE orders SET person_id = 999999 WHERE seq = 1",
            "refer to one that is not there",
        ),
    ];
    let folder = folder_with(50, 1);
    let whole = fs::read(folder.path().join("bistro.db")).expect("the database");
    for (harm, words) in harms {
        fs::write(folder.path().join("bistro.db"), &whole).expect("the database");
        let db = database(folder.path());
        db.execute_batch(harm).expect(harm);
        db.close().expect("an end");
        let report = verify(folder.path()).expect("a report");
        assert!(!report.ok && report.wrong.iter().any(|wrong| wrong.contains(words)), "{harm}: {report:?}");
    }
}

#[test]
fn the_same_seed_invents_the_same_and_another_adds_to_it() {
    let (one, same, other) = (folder_with(300, 7), folder_with(300, 7), folder_with(300, 8));
    assert_eq!(report(one.path()), report(same.path()));
    assert_ne!(report(one.path()).order_ids_sha256, report(other.path()).order_ids_sha256);
    generate(one.path(), 10, 7, &mut |_| {}).expect_err("they are there already");
    assert_eq!(report(one.path()), report(same.path()), "all of them, or none");
    generate(one.path(), 10, 8, &mut |_| {}).expect("others");
    assert_eq!(report(one.path()).orders, 310);
    let states: BTreeSet<String> = {
        let db = database(one.path());
        let mut states = db.prepare("SELECT DISTINCT state FROM orders").expect("states");
        states.query_map([], |row| row.get(0)).expect("rows").map(|state| state.expect("a state")).collect()
    };
    assert_eq!(states.into_iter().collect::<Vec<_>>(), ["cancelled", "paid", "refunded", "served"]);
}

async fn command(house: &House, what: &str, body: &Value) -> harness::reply::Reply {
    let key = format!("Roundtrip-Control {}", secret::hex(&house.control_key));
    let path = format!("/api/control/backups/{what}");
    house.stranger().send(Ask::new("POST", &path).json(body).header("authorization", &key)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_is_restored_without_a_stop() {
    let house = House::open().await;
    let guest = house.visitor();
    let first = guest.post("/api/v1/orders", &order_of(12, 1)).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let made = command(&house, "create", &json!({})).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let name = made.json()["name"].as_str().expect("a name").to_owned();
    let second = guest.post("/api/v1/orders", &order_of(12, 1)).await;
    assert_eq!(second.status, 201);

    let restored = command(&house, "restore", &json!({ "name": name })).await;
    assert_eq!(restored.status, 200, "{}", restored.text());
    assert_eq!(restored.json()["orders"], 1);
    let path =
        |order: &harness::reply::Reply| format!("/api/v1/orders/{}", order.json()["id"].as_str().expect("an id"));
    assert_eq!(guest.get(&path(&first)).await.status, 200);
    assert_eq!(guest.get(&path(&second)).await.status, 404);
    assert_eq!(guest.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);

    let safety = restored.json()["safety"].as_str().expect("a copy of what was there").to_owned();
    assert_eq!(command(&house, "verify", &json!({ "name": safety })).await.json()["orders"], 2);
    command(&house, "restore", &json!({ "name": "no-such" })).await.is_problem(404, "no-such-backup", None);
    assert_eq!(house.stack.counts().await.expect("counts").expect("the restaurant").orders, 2);
    let folder = house.folder().to_owned();
    assert_eq!(verify(&folder).expect("beside the running server").wrong, Vec::<String>::new());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_whose_caller_leaves_is_carried_to_its_end_before_anything_else() {
    let house = House::open().await;
    let guest = house.visitor();
    assert_eq!(guest.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    let backups = house.stack.backups();
    let name = backups.create(Reason::Manual).await.expect("a backup").backup.name;
    assert_eq!(guest.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    tokio::select! {
        biased;
        _ = house.stack.restore(name.clone(), "a test") => panic!("it takes longer than that"),
        () = std::future::ready(()) => {}
    }
    assert!(backups.verify(name).await.expect("a report").ok);
    assert_eq!(house.stack.counts().await.expect("counts").expect("the restaurant").orders, 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_no_backup_and_leaves_none_half_made() {
    let own = folder_with(2_000, 1);
    let house = House::on(own.path(), 1).await;
    assert_eq!(house.visitor().post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    let backups = house.stack.backups().clone();
    let making = tokio::spawn(async move { backups.create(Reason::Manual).await });
    tokio::task::yield_now().await;
    house.stack.backups().cancel();
    house.stop().await;
    let left = fs::read_dir(own.path().join("backups")).into_iter().flatten().flatten();
    let named =
        left.inspect(|entry| assert!(!entry.file_name().to_string_lossy().starts_with('.'), "{entry:?}")).count();
    match making.await.expect("an end") {
        Ok(_) => assert_eq!(named, 1),
        Err(error) => assert!(named == 0 && error.to_string().contains("given up"), "{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_another_process_stands_in_the_way_of_may_be_asked_for_again() {
    let house = House::open().await;
    assert_eq!(house.visitor().post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    let name = command(&house, "create", &json!({})).await.json()["name"].clone();
    // A reader of what is in the file alone stands in nobody's way: there has to be something in the log.
    assert_eq!(house.visitor().post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    let reader = database(house.folder());
    reader.execute_batch("BEGIN; SELECT count(*) FROM orders").expect("a read");
    let refused = command(&house, "restore", &json!({ "name": name })).await;
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    refused.is_problem(503, "not-replaced", None);
    drop(reader);
    assert_eq!(command(&house, "restore", &json!({ "name": name })).await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_restaurant_there_is_nothing_to_restore() {
    let house = House::before(&["127.0.0.1:9".parse().expect("an address")]).await;
    command(&house, "restore", &json!({ "name": "any" })).await.is_problem(409, "no-restaurant", None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_and_commands_have_to_do_with_backups() {
    let house = House::open().await;
    let stranger = house.stranger();
    stranger.get("/api/backups").await.is_problem(401, "sign-in-first", None);
    for path in ["/api/backups", "/api/backups/verify", "/api/backups/restore"] {
        stranger.post(path, &json!({ "name": "x" })).await.is_problem(401, "sign-in-first", None);
    }
    for what in ["list", "create", "verify", "restore"] {
        let path = format!("/api/control/backups/{what}");
        stranger.post(&path, &json!({ "name": "x" })).await.is_problem(401, "commands-only", None);
    }
    let owner = house.owner().await.0;
    assert_eq!(owner.get("/api/backups").await.json(), json!({ "backups": [] }));
    let made = owner.post("/api/backups", &json!({})).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let name = made.json()["name"].clone();
    let report = owner.post("/api/backups/verify", &json!({ "name": name })).await;
    assert_eq!(report.json()["ok"], true, "{}", report.text());
    let listed = owner.get("/api/backups").await.json();
    assert_eq!((&listed["backups"][0]["name"], &listed["backups"][0]["verified"]["ok"]), (&name, &json!(true)));
    // A restore ends no session of the console.
    assert_eq!(owner.post("/api/backups/restore", &json!({ "name": name })).await.status, 200);
    assert_eq!(owner.get("/api/session").await.status, 200);
    house.stop().await;
}
