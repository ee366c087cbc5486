//! Switching faults on and off, and seeing what they do.

use std::sync::Arc;
use std::time::Duration;

use roundtrip::client::{Answer, Connection, Failure, Outgoing};
use roundtrip::observe::hop::Hop;
use roundtrip::observe::journey::{Journey, JourneySpan};
use serde_json::{Value, json};

use crate::harness::House;
use crate::harness::probes::outgoing;
use crate::rig::{soon, until};

pub fn set(house: &House, key: &str, value: Value) {
    house.stack.settings().change([(key, &value)]).expect("it fits");
}

pub fn withdraw(house: &House, key: &str) {
    set(house, key, json!(false));
}

/// A GET of the menu over a new connection, names looked up anew.
pub fn fresh(house: &House) -> Outgoing {
    Outgoing { bypass_caches: true, ..outgoing(house, "GET", "/api/v1/menu", None) }
}

pub fn kept(house: &House) -> Outgoing {
    Outgoing { connection: Connection::Kept, ..outgoing(house, "GET", "/api/v1/menu", None) }
}

/// Sends it with the stack's own client; the journey shows where it ended.
pub async fn send(house: &House, outgoing: Outgoing) -> (Result<Answer, Failure>, Arc<Journey>) {
    let sent = soon(house.stack.client().send(outgoing)).await;
    let part = match &sent {
        Ok(answer) => answer.part.clone(),
        Err(failure) => (*failure.part).clone(),
    };
    let journey = house.stack.recorder().finish(part).await;
    (sent, journey)
}

pub async fn answered(house: &House, outgoing: Outgoing) -> Arc<Journey> {
    let (sent, journey) = send(house, outgoing).await;
    assert_eq!(sent.expect("an answer").status, 200);
    journey
}

/// It fails at `hop`, and the journey names the fault.
#[track_caller]
pub fn failed_by(sent: (Result<Answer, Failure>, Arc<Journey>), hop: Hop, key: &str) -> (String, Arc<Journey>) {
    let (sent, journey) = sent;
    let failure = sent.expect_err("it fails");
    assert_eq!(failure.hop, hop, "{}", failure.message);
    assert_eq!(journey.summary.faults, [key], "{}: {journey:#?}", failure.message);
    (failure.message, journey)
}

/// The spans in which a fault struck.
pub fn struck<'a>(journey: &'a Journey, key: &str) -> Vec<&'a JourneySpan> {
    journey.spans.iter().filter(|span| span.fault.as_deref() == Some(key)).collect()
}

/// Waits until a request is answered as ever, with no fault in its journey.
pub async fn heals(house: &House) {
    soon(async {
        loop {
            let sent = Outgoing { bypass_caches: false, ..fresh(house) };
            let (sent, journey) = send(house, sent).await;
            if sent.is_ok_and(|answer| answer.status == 200) && journey.summary.faults.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// The console is there, over a new connection, with its own certificate.
pub async fn console_lives(house: &House) {
    let page = soon(house.stranger().get("/")).await;
    assert!(page.status < 400, "{}", page.text());
}

/// On for a second; then all is as before without anybody's doing.
pub async fn ends_by_itself(house: &House, key: &str, value: Value) {
    let mut value = value;
    value["for_s"] = json!(1);
    set(house, key, value);
    console_lives(house).await;
    let is_over = || house.stack.settings().list().iter().any(|row| row.key == key && row.value == json!(false));
    until(is_over).await;
    heals(house).await;
}
