//! The writer's promises, with jobs that block and break on purpose.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

const SCHEMA: Schema = Schema {
    application_id: 7,
    migrations: &[Migration {
        sql: "CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT; \
              CREATE TABLE child (parent_id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED) STRICT; \
              CREATE INDEX child_by_parent ON child (parent_id);",
    }],
    seed: Some("INSERT INTO parent VALUES (1);"),
    droppable: None,
    fixed: &["parent"],
};
const LATER: Schema = Schema {
    migrations: &[SCHEMA.migrations[0], Migration { sql: "ALTER TABLE parent ADD COLUMN name TEXT;" }],
    ..SCHEMA
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn sql(transaction: &mut Transaction<'_>, statement: &'static str) -> Result<usize, StoreError> {
    transaction.db.step("test", &[], |connection| {
        let rows = connection.execute(statement, [])?;
        Ok((rows, Touched::Changed(rows)))
    })
}

fn parents(engine: &Engine) -> Result<i64, StoreError> {
    engine.read(&unwatched("test"), |db| {
        db.step("test", &[], |connection| {
            Ok((connection.query_row("SELECT count(*) FROM parent", [], |row| row.get(0))?, Touched::Returned(1)))
        })
    })
}

async fn write(engine: &Engine, statement: &'static str) -> Result<usize, StoreError> {
    engine.write(&unwatched("test"), "test", move |transaction| sql(transaction, statement)).await
}

/// Occupies the writer until the sender is used; returns once it is at work.
async fn occupy(engine: &Engine) -> Result<(Sender<()>, tokio::task::JoinHandle<Result<(), StoreError>>), StoreError> {
    let (release, released): (Sender<()>, Receiver<()>) = channel();
    let (begin, begun) = oneshot::channel();
    let engine = engine.clone();
    let busy = tokio::spawn(async move {
        engine
            .write(&unwatched("test"), "test", move |_| {
                let _ = begin.send(());
                let _ = released.recv();
                Ok::<_, StoreError>(())
            })
            .await
    });
    begun.await.map_err(|_| StoreError::Internal("the writer never began".to_owned()))?;
    Ok((release, busy))
}

fn open(folder: &Path, options: Options) -> Result<Engine, OpenError> {
    Engine::open(&folder.join("test.db"), SCHEMA, options)
}

/// Polls each future once, so that all are queued.
async fn queue<F: Future>(futures: &mut [std::pin::Pin<Box<F>>]) -> usize {
    std::future::poll_fn(|context| {
        let ready = futures.iter_mut().filter_map(|future| future.as_mut().poll(context).is_ready().then_some(()));
        std::task::Poll::Ready(ready.count())
    })
    .await
}

#[tokio::test]
async fn what_waits_for_the_writer_shares_one_commit() -> Outcome {
    let folder = tempfile::tempdir()?;
    let engine = open(folder.path(), Options::default())?;
    let (release, busy) = occupy(&engine).await?;
    let before = engine.figures();
    let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(write(&engine, "INSERT INTO parent DEFAULT VALUES"))).collect();
    assert_eq!(queue(&mut waiting).await, 0);
    release.send(())?;
    for job in waiting {
        assert_eq!(job.await, Ok(1));
    }
    busy.await??;
    let after = engine.figures();
    // The one that occupied the writer, and one for all twenty.
    assert_eq!((after.commits - before.commits, after.jobs - before.jobs, after.batch_max), (2, 21, 20));
    assert_eq!(parents(&engine)?, 21);
    Ok(())
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_says_when_to_come_back() -> Outcome {
    let folder = tempfile::tempdir()?;
    let engine = open(folder.path(), Options { queue_max: 2, ..Options::default() })?;
    let (release, busy) = occupy(&engine).await?;
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(write(&engine, "INSERT INTO parent DEFAULT VALUES"))).collect();
    assert_eq!(queue(&mut waiting[..2]).await, 0);
    let refused = waiting.pop().ok_or("three were queued")?.await;
    assert_eq!(refused, Err(StoreError::unavailable(Cause::Busy)));
    release.send(())?;
    for job in waiting {
        assert_eq!(job.await, Ok(1));
    }
    busy.await??;
    Ok(())
}

#[tokio::test]
async fn a_job_that_waited_beyond_its_bound_is_refused_and_does_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let engine = open(folder.path(), Options { queue_wait_max: Duration::ZERO, ..Options::default() })?;
    let late = write(&engine, "INSERT INTO parent DEFAULT VALUES").await;
    assert_eq!(late, Err(StoreError::unavailable(Cause::Busy)));
    assert_eq!(parents(&engine)?, 1);
    Ok(())
}

#[tokio::test]
async fn who_leaves_before_their_turn_takes_the_job_back() -> Outcome {
    let folder = tempfile::tempdir()?;
    let engine = open(folder.path(), Options::default())?;
    let (release, busy) = occupy(&engine).await?;
    let mut left = vec![Box::pin(write(&engine, "INSERT INTO parent DEFAULT VALUES"))];
    assert_eq!(queue(&mut left).await, 0);
    drop(left);
    release.send(())?;
    busy.await??;
    engine.close().await?;
    let engine = open(folder.path(), Options::default())?;
    assert_eq!(parents(&engine)?, 1);
    Ok(())
}

#[tokio::test]
async fn a_job_that_fails_or_panics_undoes_itself_alone() -> Outcome {
    let folder = tempfile::tempdir()?;
    let engine = open(folder.path(), Options::default())?;
    let (release, busy) = occupy(&engine).await?;
    let first = write(&engine, "INSERT INTO parent DEFAULT VALUES");
    let span = unwatched("test");
    let panics = engine.write(&span, "test", |transaction| {
        sql(transaction, "INSERT INTO parent DEFAULT VALUES")?;
        if transaction.db.at() > Tick::default() {
            panic!("on purpose");
        }
        Ok::<_, StoreError>(())
    });
    let duplicate = write(&engine, "INSERT INTO parent VALUES (1)");
    let release = async {
        let _ = release.send(());
    };
    let (first, panics, duplicate, ()) = tokio::join!(first, panics, duplicate, release);
    assert_eq!(first, Ok(1));
    assert!(matches!(panics, Err(StoreError::Internal(_))), "{panics:?}");
    assert!(matches!(duplicate, Err(StoreError::Internal(_))), "{duplicate:?}");
    busy.await??;
    assert_eq!(parents(&engine)?, 2);
    Ok(())
}

#[tokio::test]
async fn a_commit_that_fails_acknowledges_nobody_and_fences_until_the_file_is_checked() -> Outcome {
    let folder = tempfile::tempdir()?;
    let engine = open(folder.path(), Options::default())?;
    let (release, busy) = occupy(&engine).await?;
    // A deferred constraint is checked at COMMIT: the one thing that a job can break there.
    let mut doomed: Vec<_> = ["INSERT INTO parent VALUES (2)", "INSERT INTO child VALUES (99)"]
        .map(|statement| Box::pin(write(&engine, statement)))
        .into();
    assert_eq!(queue(&mut doomed).await, 0);
    release.send(())?;
    for job in doomed {
        assert_eq!(job.await, Err(StoreError::unavailable(Cause::Broken)));
    }
    busy.await??;
    // Refused while it is fenced, accepted after: nobody has to do anything for it.
    while let Err(refused) = write(&engine, "INSERT INTO parent VALUES (3)").await {
        assert_eq!(refused, StoreError::unavailable(Cause::Broken));
    }
    assert_eq!(engine.figures().fences, 1);
    assert_eq!(parents(&engine)?, 2);
    Ok(())
}

#[tokio::test]
async fn closing_finishes_the_queue_and_leaves_one_file() -> Outcome {
    let folder = tempfile::tempdir()?;
    let engine = open(folder.path(), Options::default())?;
    let (release, busy) = occupy(&engine).await?;
    let mut waiting = vec![Box::pin(write(&engine, "INSERT INTO parent DEFAULT VALUES"))];
    assert_eq!(queue(&mut waiting).await, 0);
    let close = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.close().await })
    };
    release.send(())?;
    for job in waiting {
        assert_eq!(job.await, Ok(1));
    }
    busy.await??;
    close.await??;
    assert_eq!(write(&engine, "SELECT 1").await, Err(StoreError::unavailable(Cause::Closed)));
    let files: Vec<_> = std::fs::read_dir(folder.path())?.flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(files, ["test.db"]);
    Ok(())
}

#[tokio::test]
async fn a_migration_copies_the_file_first_and_a_file_of_the_future_is_left_alone() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("test.db");
    open(folder.path(), Options::default())?.close().await?;
    Engine::open(&path, LATER, Options::default())?.close().await?;
    let copy = folder.path().join("test.db.v1.backup");
    assert_eq!(rusqlite::Connection::open(&copy)?.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?, 1);

    let before = std::fs::read(&path)?;
    let refused = open(folder.path(), Options::default());
    assert!(matches!(refused, Err(OpenError::Future { found: 2, known: 1, .. })), "{refused:?}");
    assert_eq!(std::fs::read(&path)?, before);
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_none_of_ours_is_refused_unchanged() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("test.db");
    let other = Schema { application_id: 8, ..SCHEMA };
    Engine::open(&path, other, Options::default())?.close().await?;
    assert!(matches!(open(folder.path(), Options::default()), Err(OpenError::Foreign(_))));
    let text = "this is a diary and not a database; nobody may write into it. ".repeat(20);
    std::fs::write(&path, &text)?;
    assert!(matches!(open(folder.path(), Options::default()), Err(OpenError::Foreign(_))));
    assert_eq!(std::fs::read_to_string(&path)?, text);
    Ok(())
}

#[tokio::test]
async fn a_file_whose_making_was_cut_off_is_made_anew() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("test.db");
    // What a kill leaves between the first page and the first migration.
    rusqlite::Connection::open(&path)?.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    assert!(std::fs::metadata(&path)?.len() > 0);
    assert_eq!(parents(&open(folder.path(), Options::default())?), Ok(1));
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_of_the_machine_account_can_read_the_files() -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir()?;
    let engine = open(folder.path(), Options::default())?;
    write(&engine, "INSERT INTO parent DEFAULT VALUES").await?;
    for entry in std::fs::read_dir(folder.path())? {
        let entry = entry?;
        assert_eq!(entry.metadata()?.permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
    Ok(())
}

/// Counts to that number, in one read that takes as many steps of SQLite's machine and more.
const COUNT: &str = "WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 100000) \
                     SELECT max(n) FROM count";

fn count(db: &mut Db<'_>) -> Result<i64, StoreError> {
    db.step("test", &[COUNT], |connection| {
        Ok((connection.query_row(COUNT, [], |row| row.get(0))?, Touched::Returned(1)))
    })
}

#[tokio::test]
async fn a_read_ends_at_its_bound_as_busy_and_a_survey_goes_on_to_its_end() -> Outcome {
    let folder = tempfile::tempdir()?;
    let engine = open(folder.path(), Options { read_max: Duration::ZERO, ..Options::default() })?;
    assert_eq!(engine.read(&unwatched("test"), count), Err(StoreError::unavailable(Cause::Busy)));
    assert_eq!(engine.survey(&unwatched("test"), count), Ok(100_000));
    assert_eq!(parents(&engine), Ok(1), "a point read is over before anybody looks at the clock");
    Ok(())
}

#[tokio::test]
async fn a_reader_that_stays_makes_the_log_grow_and_its_leaving_lets_it_shrink() -> Outcome {
    const BOUND: u64 = 32 * 1_024 * 1_024;
    let folder = tempfile::tempdir()?;
    let engine = open(folder.path(), Options::default())?;
    write(&engine, "CREATE TABLE picture (bytes BLOB)").await?;
    let log_bytes = || std::fs::metadata(folder.path().join("test.db-wal")).map(|file| file.len());
    let paint = || write(&engine, "INSERT INTO picture VALUES (zeroblob(5000000))");
    let reader = rusqlite::Connection::open(folder.path().join("test.db"))?;
    reader.execute_batch("BEGIN; SELECT count(*) FROM parent;")?;
    for _ in 0..8 {
        paint().await?;
    }
    assert!(log_bytes()? > BOUND);
    reader.execute_batch("COMMIT")?;
    paint().await?;
    // The log is shortened after the answer: the next answer comes after that.
    write(&engine, "INSERT INTO parent DEFAULT VALUES").await?;
    assert!(log_bytes()? < BOUND, "{}", log_bytes()?);
    Ok(())
}

fn readers(folder: &Path) -> Result<Readers, Box<dyn std::error::Error>> {
    let options = Options { reader_wait_max: Duration::from_millis(1), ..Options::default() };
    drop(connection::prepare(&folder.join("test.db"), SCHEMA, Durability::Full)?);
    Ok(Readers::open(&folder.join("test.db"), &options)?)
}

/// How many connections can be lent at once to instances.
fn lent(readers: &Readers) -> usize {
    let leases: Vec<_> = std::iter::from_fn(|| readers.lease(true).ok()).collect();
    leases.len()
}

#[test]
fn a_pool_of_one_ends_with_its_fault_though_somebody_saw_it_on_a_moment_ago() -> Outcome {
    let folder = tempfile::tempdir()?;
    let readers = readers(folder.path())?;
    let all = lent(&readers);
    assert!(all > 1);
    let under_way = readers.lease(true)?;
    readers.begin_pool_of_one();
    assert_eq!(lent(&readers), 0, "the one is lent");
    drop(under_way);
    assert_eq!(lent(&readers), 1);
    readers.end_pool_of_one();
    readers.hold_all_but_one();
    assert_eq!(lent(&readers), all);
    Ok(())
}

#[test]
fn pools_that_were_taken_away_and_put_back_are_whole_and_a_pool_of_one_stays_one() -> Outcome {
    let folder = tempfile::tempdir()?;
    let readers = readers(folder.path())?;
    let all = lent(&readers);
    readers.begin_pool_of_one();
    readers.withdraw();
    assert!(readers.lease(true).is_err() && readers.lease(false).is_err());
    readers.restore()?;
    readers.hold_all_but_one();
    assert_eq!(lent(&readers), 1);
    readers.end_pool_of_one();
    assert_eq!(lent(&readers), all);
    Ok(())
}

#[test]
fn the_control_plane_reads_though_instances_hold_every_reader_that_they_may() -> Outcome {
    let folder = tempfile::tempdir()?;
    let readers = readers(folder.path())?;
    let held: Vec<_> = std::iter::from_fn(|| readers.lease(true).ok()).collect();
    assert_eq!(held.len(), Options::default().readers as usize);
    let before = readers.figures().waits;
    let (own, in_the_way) = (readers.lease(false)?, readers.free());
    assert!(in_the_way.is_none(), "there is one, and it is lent");
    assert_eq!(readers.figures().waits, before, "nobody waited for it");
    drop(own);
    assert!(readers.free().is_some());
    Ok(())
}

/// Whether somebody else can write beside the engine.
fn is_locked(path: &Path) -> bool {
    let other = Connection::open(path).and_then(|other| {
        other.busy_timeout(Duration::ZERO)?;
        other.execute_batch("BEGIN IMMEDIATE; ROLLBACK")
    });
    other.is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_let_go_while_the_file_is_replaced_taken_again_and_gone_after_its_fault() -> Outcome {
    let (folder, settings) = (tempfile::tempdir()?, crate::settings::runtime::Settings::default());
    let engine = open(folder.path(), Options { settings: settings.clone(), ..Options::default() })?;
    let path = folder.path().join("test.db");
    let keeper = engine.clone();
    let keeper = tokio::spawn(async move { keeper.keep_faults().await });
    let locked = async || {
        let locked = async {
            while !is_locked(&path) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), locked).await
    };
    settings.change([("fault.data.locked", &serde_json::json!(true))]).map_err(|bad| format!("{bad:?}"))?;
    locked().await?;
    // Changed while the file is closed: whoever follows the fault would lock what is being swapped.
    let (file, other) = (path.clone(), settings.clone());
    let swap = move || {
        other.change([("fault.data.locked", &serde_json::json!({ "for_s": 60 }))]).map_err(|bad| format!("{bad:?}"))?;
        std::thread::sleep(3 * Duration::from_millis(200));
        if is_locked(&file) { Err("it was locked".to_owned()) } else { Ok(()) }
    };
    assert_eq!(engine.replace(Box::new(swap)).await, Ok(()));
    locked().await?;
    // As a stack that stops does: nobody follows the fault any more, and then it is over.
    keeper.abort();
    settings.end_faults(|_| true);
    engine.let_go().await;
    assert!(!is_locked(&path));
    assert_eq!(write(&engine, "INSERT INTO parent DEFAULT VALUES").await, Ok(1));
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn what_is_slow_is_remembered_with_its_statement_and_plan_up_to_a_bound() -> Outcome {
    use crate::settings::runtime::{Settings, Snapshot};
    let folder = tempfile::tempdir()?;
    let mut snapshot = Snapshot::default();
    snapshot.data.slow_query = Duration::from_nanos(1);
    let engine = open(folder.path(), Options { settings: Settings::new(snapshot), ..Options::default() })?;
    for _ in 0..100 {
        engine.read(&unwatched("test"), count)?;
    }
    let slow = engine.slow();
    assert_eq!(slow.len(), 64);
    assert_eq!((slow[0].step, &*slow[0].statements), ("test", &[COUNT.to_owned()][..]));
    assert!(slow[0].took_us > 0.0 && slow[0].plan.iter().any(|line| line.contains("SCAN count")), "{slow:?}");

    let folder = tempfile::tempdir()?;
    let mut off = Snapshot::default();
    off.data.slow_query = Duration::ZERO;
    let engine = open(folder.path(), Options { settings: Settings::new(off), ..Options::default() })?;
    engine.read(&unwatched("test"), count)?;
    assert_eq!(engine.slow(), []);
    Ok(())
}

/// How every test of the crate that runs a new statement also checks its plan.
#[cfg(debug_assertions)]
#[tokio::test]
async fn a_statement_that_reads_a_growing_table_whole_stops_a_debug_build() -> Outcome {
    let folder = tempfile::tempdir()?;
    let engine = open(folder.path(), Options::default())?;
    let refused = write(&engine, "UPDATE child SET parent_id = NULL").await;
    assert!(matches!(refused, Err(StoreError::Internal(_))), "{refused:?}");
    let children = |db: &mut Db<'_>| {
        db.step("test", &[], |connection| {
            Ok((
                connection.query_row("SELECT count(*) FROM child", [], |row| row.get::<_, i64>(0))?,
                Touched::Returned(1),
            ))
        })
    };
    assert_eq!(engine.survey(&unwatched("test"), children), Ok(0), "an audit may");
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.read(&unwatched("test"), children)));
    assert!(read.is_err());
    Ok(())
}

#[tokio::test]
async fn a_file_without_a_log_that_nothing_was_written_to_is_closed_in_order() -> Outcome {
    let folder = tempfile::tempdir()?;
    open(folder.path(), Options::default())?.close().await?;
    let plain = rusqlite::Connection::open(folder.path().join("test.db"))?;
    plain.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    plain.close().map_err(|(_, error)| error)?;
    let engine = open(folder.path(), Options::default())?;
    assert_eq!(parents(&engine)?, 1);
    engine.close().await?;
    Ok(())
}
