//! `roundtrip load`.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::rig::{Done, Place};
use crate::server::{Server, ok};

/// Runs a command while the server of this test goes on.
async fn run(place: &std::sync::Arc<Place>, arguments: &[&str]) -> Done {
    let (place, arguments) = (std::sync::Arc::clone(place), arguments.join("\n"));
    let run = move || place.run(&arguments.split('\n').collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.expect("it runs")
}

fn place() -> std::sync::Arc<Place> {
    std::sync::Arc::new(Place::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_tells_the_same() {
    let server = Server::start(async |_, _| ok()).await;
    let (place, url) = (place(), server.url());
    let load = ["load", &url, "--rate", "50", "--duration", "2s", "--connections", "2", "--format"];
    let report = run(&place, &[&load[..], &["json"]].concat()).await.succeeded().json();
    let figures = &report["figures"];
    assert_eq!((&figures["planned"], &figures["answered"]), (&100.into(), &100.into()), "{report:#}");
    assert_eq!((&figures["statuses"]["200"], &figures["phase"]), (&100.into(), &"done".into()));
    assert_eq!((&report["sent"]["connections"], &report["sent"]["arrivals"]), (&2.into(), &"constant".into()));
    for times in ["latency_ms", "service_ms", "lag_ms"] {
        for percentile in ["p50", "p90", "p99", "p999", "max", "mean"] {
            assert!(figures[times][percentile].as_f64().is_some_and(|ms| ms > 0.0), "{times} {percentile}");
        }
    }
    let csv = run(&place, &[&load[..], &["csv"]].concat()).await.succeeded().out;
    let mut lines = csv.lines();
    let columns: Vec<&str> = lines.next().expect("a head").split(',').collect();
    assert_eq!(columns, ["at_s", "planned", "sent", "answered", "failed", "not_sent", "p50_ms", "p99_ms", "max_ms"]);
    let cells: Vec<Vec<f64>> = lines
        .map(|line| line.split(',').map(|cell| if cell.is_empty() { 0.0 } else { cell.parse().expect(cell) }).collect())
        .collect();
    assert!(cells.len() >= 2 && cells.iter().all(|row| row.len() == columns.len()), "{csv}");
    assert_eq!([1, 2, 3].map(|column| cells.iter().map(|row| row[column]).sum::<f64>()), [100.0; 3], "{csv}");
    let text = run(&place, &[&load[..], &["text"]].concat()).await.succeeded().out;
    assert!(text.contains("100 planned, 100 sent, 100 answered") && text.contains("200: 100"), "{text}");
    assert_eq!(server.count(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ramp_then_a_steady_rate_of_a_mix_are_sent_as_they_are_written() {
    let server = Server::start(async |_, _| ok()).await;
    let (place, url) = (place(), server.url());
    fs::write(place.path().join("mix.toml"), "[[request]]\npath = '/a/{seq}'\nheaders = { x-y = 'z' }")
        .expect("a file");
    let flags = ["load", &url, "--ramp", "0..100/1s", "--rate", "100", "--duration", "500ms", "--mix", "mix.toml"];
    let report = run(&place, &[&flags[..], &["--format", "json", "--arrivals", "constant"]].concat()).await;
    assert_eq!(report.succeeded().json()["figures"]["answered"], 100);
    let seen = server.seen.lock().expect("the log");
    let mut numbers: Vec<usize> =
        seen.lines.iter().map(|line| line[7..].split(' ').next().expect("a path").parse().expect(line)).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    assert!(seen.heads.iter().all(|head| head.contains("\r\nx-y: z\r\n")), "{:?}", seen.heads[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_machine_is_sent_nothing_unless_the_file_allows_it() {
    let server = Server::start(async |_, _| ok()).await;
    let place = place();
    // An address of every machine that is not a loopback one, and leads back here.
    let url = format!("http://0.0.0.0:{}", server.address.port());
    let load = ["load", &url, "--rate", "10", "--duration", "1s", "--format", "json"];
    run(&place, &load).await.refused("load-hosts = [\"0.0.0.0\"]");
    run(&place, &["load", "http://192.0.2.1/", "--rate", "1", "--duration", "1s"]).await.refused("not this machine");
    assert_eq!(server.seen.lock().expect("the log").connections, 0);
    fs::write(place.path().join("roundtrip.toml"), "load-hosts = [\"0.0.0.0\"]").expect("a file");
    assert_eq!(run(&place, &load).await.succeeded().json()["figures"]["answered"], 10);
    run(&place, &["load", "http://192.0.2.1/", "--rate", "1", "--duration", "1s"]).await.refused("not this machine");
    // A server reads the same file.
    assert!(run(&place, &["config", "check"]).await.succeeded().out.contains("valid"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_load_is_refused_in_one_line() {
    let place = place();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let (gone, rate) = (format!("http://{gone}/"), ["--rate", "1", "--duration", "1s"]);
    let run = async |target: &str, more: &[&str]| run(&place, &[&["load", target], &rate[..], more].concat()).await;
    run(&gone, &[]).await.refused("connection refused");
    run("/api/v1/menu", &[]).await.refused("no server runs on");
    run(&gone, &["--as", "waiter"]).await.refused("--data-dir");
    run(&gone, &["--mix", "none.toml"]).await.refused("none.toml");
    run("ftp://localhost/", &[]).await.refused("http://");
    run("http://localhost/a", &["--mix", "none.toml"]).await.refused("a mix brings its own paths");
    run(&gone, &["--header", "host: other"]).await.refused("the client's own");
    run(&gone, &["--connections", "0"]).await.refused("");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_it_in_order_and_it_tells_what_there_is() {
    let server = Server::start(async |_, _| ok()).await;
    let place = place();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_roundtrip"));
    command.env_clear().current_dir(place.path()).stdout(std::process::Stdio::piped());
    let url = server.url();
    let child = command.args(["load", &url, "--rate", "100", "--duration", "1h", "--format", "json"]);
    let child = child.stderr(std::process::Stdio::null()).spawn().expect("it starts");
    let sent = async {
        while server.count() < 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, sent).await.expect("it sends");
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::INT).expect("is signalled");
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.expect("a thread").expect("an end");
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["figures"]["sent"], server.count());
    assert_eq!(report["figures"]["answered"], server.count());
}

#[test]
fn the_running_server_is_loaded_by_a_path_and_as_a_role() {
    let place = Place::new();
    let server = place.serve(&[]);
    let flags = ["--rate", "40", "--duration", "1s", "--connections", "4", "--format", "json"];
    let statuses = |target: &[&str]| {
        let report = place.run(&[&["load"], target, &flags[..]].concat()).succeeded().json();
        report["figures"]["statuses"].clone()
    };
    assert_eq!(statuses(&["/api/v1/menu"]), serde_json::json!({ "200": 40 }));
    assert_eq!(statuses(&[&format!("{}/api/v1/menu/12", server.text("app"))]), serde_json::json!({ "200": 40 }));
    assert_eq!(statuses(&["/api/v1/ledger", "--as", "manager"]), serde_json::json!({ "200": 40 }));
    assert_eq!(statuses(&["/api/v1/ledger"]).as_object().expect("statuses").keys().collect::<Vec<_>>(), ["401"]);
    server.stop();
}
