//! A restaurant's database, its supplier on a socket, and one instance's service between them.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roundtrip::client::{Client, ClientConfig, Resolver, Roots};
use roundtrip::domain::order::{LineRequest, OrderRequest, Placed};
use roundtrip::domain::pantry::PantryItem;
use roundtrip::domain::session::Visitor;
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::SpanId;
use roundtrip::observe::recorder::Recorder;
use roundtrip::observe::span::{Context, Span, Trace};
use roundtrip::service::supply::{Purchasing, Supply};
use roundtrip::service::{Service, ServiceError};
use roundtrip::settings::runtime::Settings;
use roundtrip::store::WallClock;
use roundtrip::store::bistro::bus::Topic;
use roundtrip::store::bistro::{Bistro, Options};
use roundtrip::store::cache::MenuCache;
use roundtrip::store::hasher::{Cost, Hasher};
use roundtrip::supplier::Supplier;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::harness::PATIENCE;

/// Orange juice: three oranges, and nothing else.
pub const JUICE: i64 = 39;
pub const ORANGES: i64 = 16;
/// Basmati rice: 90 g of it, and nothing else.
pub const RICE: i64 = 31;
pub const BASMATI: i64 = 33;
pub const TRUFFLE: i64 = 47;

pub struct World {
    pub bistro: Bistro,
    pub supplier: Supplier,
    pub supply: Supply,
    pub service: Service,
    pub settings: Settings,
    pub client: Client,
    /// What was done in the background.
    pub recorder: Recorder,
    ahead: Arc<Mutex<Duration>>,
    folder: tempfile::TempDir,
}

impl World {
    /// Nobody buys in the background yet.
    pub fn open(changes: &[(&str, Value)]) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings::default();
        let ahead = Arc::new(Mutex::new(Duration::ZERO));
        let clock = Arc::clone(&ahead);
        let clock = WallClock::new(move || OffsetDateTime::now_utc() + *clock.lock().expect("the clock"));
        let options = Options { clock, ..Options::default() };
        let bistro = Bistro::open(&folder.path().join("bistro.db"), options).expect("a database");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let supplier = Supplier::start(listener, settings.clone()).expect("a supplier");
        let client = Client::new(ClientConfig {
            resolver: Resolver::system(),
            roots: Roots::System,
            probe_key: None,
            ca_path: None,
            detail: false,
        })
        .expect("a client");
        let origin = format!("http://{}", supplier.address());
        let supply = Supply::new(bistro.clone(), client.clone(), &origin, settings.clone(), 7);
        let cache = MenuCache::new(&bistro.invalidation(), settings.clone(), 7);
        let hasher = Hasher::start(Cost::LEAST).expect("a hasher");
        let service = Service::new(bistro.clone(), hasher, cache, settings.clone()).with_supply(supply.clone());
        let world =
            World { bistro, supplier, supply, service, settings, client, recorder: Recorder::default(), ahead, folder };
        world.change(&[("supplier.latency", json!(0)), ("service.supply.backoff", json!(10))]);
        world.change(&[("service.supply.backoff_max", json!(10)), ("service.supply.timeout", json!(10_000))]);
        world.change(&[("service.supply.patience", json!(20_000))]);
        world.change(changes);
        world
    }

    pub fn change(&self, changes: &[(&str, Value)]) {
        self.settings.change(changes.iter().map(|(key, value)| (*key, value))).expect("the settings fit");
    }

    /// Somebody who buys in the background, from now on.
    pub fn buyer(&self) -> Purchasing {
        Purchasing::start(self.supply.clone(), self.recorder.clone())
    }

    /// The stack's clock goes on by so much.
    pub fn later(&self, by: Duration) {
        *self.ahead.lock().expect("the clock") += by;
    }

    /// It is set back by so much.
    pub fn earlier(&self, by: Duration) {
        *self.ahead.lock().expect("the clock") -= by;
    }

    /// Fills the pantry with so much of an item; more is bought as soon as anything of it is used.
    pub fn stock(&self, item: i64, initial: i64) {
        let database = rusqlite::Connection::open(self.folder.path().join("bistro.db")).expect("the database");
        let sql = "UPDATE pantry_item SET initial = ?2, reorder_at = ?2 WHERE id = ?1";
        assert_eq!(database.execute(sql, [item, initial]).expect("an update"), 1);
    }

    pub async fn order(&self, dish: i64, quantity: u32) -> Result<Placed, ServiceError> {
        self.order_in(&span(false), dish, quantity).await
    }

    pub async fn order_in(&self, span: &Span, dish: i64, quantity: u32) -> Result<Placed, ServiceError> {
        let request = OrderRequest { table: 4, lines: vec![LineRequest { menu_item_id: dish, quantity }] };
        self.service.place_order(span, &Visitor::stranger(), request, None).await
    }

    pub async fn item(&self, id: i64) -> PantryItem {
        let pantry = self.bistro.pantry(&span(false)).await.expect("the pantry");
        pantry.into_iter().find(|item| item.id == id).expect("in the pantry")
    }

    /// Waits until what is known of an item `fits`.
    pub async fn until(&self, id: i64, fits: impl Fn(&PantryItem) -> bool) -> PantryItem {
        let mut changes = self.bistro.bus().listen(Topic::Purchases);
        loop {
            changes.borrow_and_update();
            let item = self.item(id).await;
            if fits(&item) {
                return item;
            }
            let changed = tokio::time::timeout(PATIENCE, changes.changed()).await;
            changed.unwrap_or_else(|_| panic!("nothing happens any more to {item:?}")).expect("the bus");
        }
    }

    /// Every invariant holds, and nothing was delivered twice. Returns the deliveries.
    pub async fn audit(&self) -> u64 {
        let audit = self.bistro.audit().await.expect("an audit");
        assert_eq!((audit.wrong.as_slice(), audit.ledger_sum.cents()), (&[][..], 0));
        let database = rusqlite::Connection::open(self.folder.path().join("bistro.db")).expect("the database");
        let sql = "SELECT count(*) FROM purchase WHERE state = 'delivered'";
        let delivered: u32 = database.query_row(sql, [], |row| row.get(0)).expect("a count");
        let delivered = u64::from(delivered);
        assert_eq!(self.supplier.deliveries(), delivered, "what the supplier delivered was taken in, once");
        delivered
    }
}

pub fn span(detail: bool) -> Span {
    let context = Context { detail, ..Context::new_root() };
    Trace::start(context, SpanId::random(), Hop::Api, "Test", Tick::now())
}
