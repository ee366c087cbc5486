//! Whole houses for tests: a stack, its console and its door over real sockets, in a folder of their own
//! and on ports that the system chose; and the people who use them, as types with verbs.
#![allow(dead_code, reason = "every test file uses a part of its own")]

pub mod people;
pub mod probes;
pub mod reply;
pub mod sealed;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use people::{Owner, Person};
use reply::Reply;
use roundtrip::client::{Client, ClientConfig, Resolver, Roots};
use roundtrip::console::door::{Door, DoorConfig};
use roundtrip::console::{self, Console, ConsoleConfig};
use roundtrip::settings::runtime::Settings;
use roundtrip::settings::startup::{ServeFlags, Source};
use roundtrip::stack::reload::Reloader;
use roundtrip::stack::{APP_LOCAL_NAME, APP_NAME, Stack, StackConfig};
use roundtrip::store::bistro::{Bistro, Options};
use roundtrip::store::control::{self, Control};
use roundtrip::store::hasher::{Cost, Hasher};
use roundtrip::tls::{Authority, LeafResolver, server_config};
use roundtrip::web::host::HostList;
use roundtrip::web::hsts::Hsts;
use roundtrip::web::secret;
use sealed::Sealed;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// A test that waits longer than this for something that must happen has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long a stop may take: nothing is under way when tests stop a house.
const DRAIN: Duration = Duration::from_secs(5);
/// Long enough, and nobody else's.
pub const PASSWORD: &str = "plate-knife-fork-spoon";
/// Truffle risotto: there is little of it.
pub const RARE_DISH: i64 = 15;
/// Portions of it in the seed.
pub const RARE_PORTIONS: i64 = 20;

/// An order of `quantity` portions of one dish at table 4.
pub fn order_of(dish: i64, quantity: i64) -> Value {
    json!({ "table": 4, "lines": [{ "menu_item_id": dish, "quantity": quantity }] })
}

/// What must never change when a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Books {
    pub orders: i64,
    pub people: i64,
    pub used: Vec<i64>,
    pub entries: i64,
    pub keys: i64,
}

/// A running stack with its console and door.
pub struct House {
    pub stack: Arc<Stack>,
    pub console: Console,
    pub door: Door,
    pub control: Control,
    pub control_key: [u8; 32],
    pub hasher: Hasher,
    pub ca_pem: String,
    pub ca_fingerprint: String,
    folder: PathBuf,
    /// None when the folder is the test's own.
    _own: Option<tempfile::TempDir>,
}

impl House {
    /// A new one, with three instances.
    pub async fn open() -> House {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path().to_owned();
        House { _own: Some(own), ..House::on(&folder, 3).await }
    }

    /// A new one with one instance, so that there is one cache.
    pub async fn with_one_instance() -> House {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path().to_owned();
        House { _own: Some(own), ..House::on(&folder, 1).await }
    }

    /// A new one before somebody's own service, with a plain port beside the sealed one.
    pub async fn before(upstreams: &[SocketAddr]) -> House {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path().to_owned();
        let upstream = upstreams.iter().map(|address| format!("http://{address}")).collect();
        let flags = ServeFlags { upstream, app_http_port: Some(0), ..ServeFlags::default() };
        House { _own: Some(own), ..House::serving(&folder, flags).await }
    }

    /// On a folder that stays.
    pub async fn on(folder: &Path, instances: usize) -> House {
        House::serving(folder, ServeFlags { instances: Some(instances), ..ServeFlags::default() }).await
    }

    /// Put together as `roundtrip serve` does, with `roundtrip.toml` in the same folder.
    async fn serving(folder: &Path, flags: ServeFlags) -> House {
        let source = Source { flags, folder: folder.to_owned() };
        let startup = source.read().expect("a configuration");
        let socket = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = |socket: &TcpListener| socket.local_addr().expect("an address").port();
        let (app, console_socket, http) = (socket(), socket(), socket());
        let (console_port, http_port) = (port(&console_socket), port(&http));
        let now = OffsetDateTime::now_utc();
        let authority = Authority::load_or_create(folder, now).expect("an authority");
        let names = ["localhost", console::NAME, APP_LOCAL_NAME, "127.0.0.1", APP_NAME, "console.roundtrip.test"];
        let leaf = Arc::new(LeafResolver::new(authority.clone(), &names.map(str::to_owned), now).expect("a leaf"));
        let tls = || server_config(leaf.clone(), &[b"h2", b"http/1.1"]).expect("TLS");
        let control_key = secret::random_bytes::<32>().expect("randomness");
        let hasher = Hasher::start(Cost::LEAST).expect("a hasher");
        let control = Control::open(&folder.join("control.db"), control::Options::default()).expect("control.db");
        let stack = Stack::start(StackConfig {
            data_dir: folder.to_owned(),
            instances: startup.instances,
            workers: 1,
            app,
            app_http: startup.app_http_port.map(|_| socket()),
            site: startup.site.clone(),
            app_names: Vec::new(),
            hsts: Hsts::default(),
            dns: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            app_addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            tls: tls(),
            authority: authority.clone(),
            ca_pem: authority.ca_pem().as_bytes().to_vec(),
            ca_path: authority.ca_path(),
            control_key,
            hasher: hasher.clone(),
            settings: Settings::starting_with(&startup.settings),
        });
        let stack = Arc::new(stack.await.expect("a stack"));
        let reloader = Arc::new(Reloader::new(Arc::clone(&stack), source, startup));
        let hosts = |names: &[&str], port, default_port| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            HostList::new(&names, port, default_port)
        };
        let console = Console::start(ConsoleConfig {
            listener: console_socket,
            tls: tls(),
            hosts: hosts(&[console::NAME, "localhost", "127.0.0.1"], console_port, 443),
            stack: Arc::clone(&stack),
            reloader,
            control: control.clone(),
            hasher: hasher.clone(),
            control_key,
            door_url: format!("http://localhost:{http_port}"),
        })
        .expect("a console");
        let door = Door::start(DoorConfig {
            listener: http,
            hosts: hosts(&["localhost", console::NAME, "127.0.0.1"], http_port, 80),
            control: control.clone(),
            ca_pem: authority.ca_pem().to_owned(),
            ca_fingerprint: authority.fingerprint(),
            console_url: format!("https://{}:{console_port}", console::NAME),
            console_fallback_url: format!("https://localhost:{console_port}"),
            app_url: stack.browser_url(),
        })
        .expect("a door");
        stack.ready().await;
        House {
            stack,
            console,
            door,
            control,
            control_key,
            hasher,
            ca_pem: authority.ca_pem().to_owned(),
            ca_fingerprint: authority.fingerprint(),
            folder: folder.to_owned(),
            _own: None,
        }
    }

    /// The folder of its data and of `roundtrip.toml`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn console_url(&self) -> String {
        format!("https://{}:{}", console::NAME, self.console.address().port())
    }

    pub fn door_url(&self) -> String {
        format!("http://localhost:{}", self.door.address().port())
    }

    /// A client as anybody may have one: it knows the authority and the DNS server, and no secret.
    pub fn outside_client(&self) -> Client {
        Client::new(ClientConfig {
            resolver: Resolver::at(self.stack.dns()),
            roots: Roots::Pem(self.ca_pem.clone().into_bytes()),
            probe_key: None,
            ca_path: None,
            detail: false,
        })
        .expect("a client")
    }

    /// A sealed connection without a client, for bytes as they are.
    pub async fn sealed(&self, to: SocketAddr) -> Sealed {
        sealed::connect(to, self.ca_pem.as_bytes()).await
    }

    /// Somebody with an empty cookie jar, at the app.
    pub fn visitor(&self) -> Person {
        Person::at(self.outside_client(), self.stack.browser_url())
    }

    /// Somebody with an empty cookie jar, at the console.
    pub fn stranger(&self) -> Person {
        Person::at(self.outside_client(), self.console_url()).sending("roundtrip-console", "1")
    }

    /// Somebody at the door, by its address: `localhost` is no name of the embedded DNS.
    pub fn caller(&self) -> Person {
        Person::at(self.outside_client(), format!("http://{}", self.door.address()))
    }

    /// The owner, made now and signed in.
    pub async fn owner(&self) -> Owner {
        let token = self.control.create_setup_token().await.expect("a token");
        let person = self.stranger();
        let made = person.post("/api/setup", &json!({ "token": token, "name": "owner", "password": PASSWORD })).await;
        assert_eq!(made.status, 201, "{}", made.text());
        Owner(person)
    }

    /// A member of staff, signed in at the app with a password that was set for the purpose.
    pub async fn staff(&self, name: &str) -> Person {
        let phc = self.hasher.hash(PASSWORD).await.expect("a hash");
        assert!(self.stack.set_staff_password(name, &phc).await.expect("an answer"), "{name} works here");
        let person = self.visitor();
        let answer = person.post("/api/v1/session", &json!({ "name": name, "password": PASSWORD })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        person
    }

    /// What is in the books now, read from the file beside the server.
    pub fn books(&self) -> Books {
        let database = rusqlite::Connection::open(self.folder.join("bistro.db")).expect("the database");
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM {table}");
            database.query_row(&sql, [], |row| row.get(0)).expect("a count")
        };
        let mut used = database.prepare("SELECT used FROM pantry_item ORDER BY id").expect("the pantry");
        let used = used.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a row")).collect();
        Books {
            orders: count("orders"),
            people: count("person"),
            used,
            entries: count("entry"),
            keys: count("idempotency_key"),
        }
    }

    /// Lets the kitchen take up nothing: orders stay as they are placed.
    pub fn kitchen_rests(&self) {
        self.stack.settings().change([("service.kitchen.workers", &json!(0))]).expect("fits");
    }

    /// Lets the edge keep nothing: every request goes on to an instance.
    pub fn edge_keeps_nothing(&self) {
        self.stack.settings().change([("http.cache.enabled", &json!(false))]).expect("fits");
    }

    /// Orderly: the console and the door, then the stack.
    pub async fn stop(self) {
        let House { stack, console, door, control, _own, .. } = self;
        door.stop().await;
        console.stop().await;
        stack.stop(DRAIN).await.expect("an orderly stop");
        control.close().await.expect("an orderly stop");
    }
}

/// Checks every invariant of a restaurant's database that nobody has open, and says how many orders it has.
pub async fn audit(folder: &Path) -> i64 {
    let bistro = Bistro::open(&folder.join("bistro.db"), Options::default()).expect("the database opens");
    let audit = bistro.audit().await.expect("an audit");
    assert_eq!((audit.wrong.as_slice(), audit.ledger_sum.cents()), (&[][..], 0));
    bistro.close().await.expect("an orderly close");
    audit.orders
}

/// All answers have one status.
pub fn statuses(replies: &[Reply]) -> Vec<u16> {
    replies.iter().map(|reply| reply.status).collect()
}
