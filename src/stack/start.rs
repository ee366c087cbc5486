//! Puts a stack together: the data first, the edge last, so that nothing answers before it can.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::backups::Backups;
use super::dns_follows::DnsFollows;
use super::faults::{Expiry, Restores};
use super::instances::Instances;
use super::keepers::Keepers;
use super::kills::Kills;
use super::maker::{FIRST_VERSION, InstanceMaker};
use super::site::{self, Ground, Pools};
use super::supply::{self, Supplies};
use super::{APP_LOCAL_NAME, APP_NAME, Servers, Stack, StackConfig, StackError};
use crate::api::routes::TEMPLATES;
use crate::balancer::Balancer;
use crate::client::{Client, ClientConfig, Resolver, Roots};
use crate::dns::{DnsConfig, DnsServer, Live};
use crate::edge::{Edge, EdgeConfig, Listener};
use crate::observe::happening::Happenings;
use crate::observe::metrics::Metrics;
use crate::observe::part::Part;
use crate::observe::recorder::Recorder;
use crate::store::BISTRO_FILE;
use crate::store::WallClock;
use crate::store::bistro::{self, Bistro};
use crate::store::engine;
use crate::supplier::{self, Supplier};
use crate::tls::{Flaws, UpstreamTrust};
use crate::web::host::HostList;
use crate::web::probe::ProbeKey;
use crate::web::secret;

/// The beginning of the edge's name in `Via`.
const VIA: &str = "roundtrip";
const APP_ALIAS: &str = "www.bistro.roundtrip.test";
/// They lead to the console, which no fault touches.
const CONSOLE_NAMES: [&str; 2] = ["console.roundtrip.test", "roundtrip.localhost"];
/// What the edge may keep of the restaurant's answers: the menu and its dishes (`api.menu.shared_ttl`).
const MENU_PATH: &str = "/api/v1/menu";

pub async fn start(config: StackConfig) -> Result<Stack, StackError> {
    let recorder = Recorder::counting(Metrics::new(TEMPLATES));
    let hop_secret = secret::random_hex_256()?;
    let probe_key = ProbeKey::new(&config.control_key);
    let bistro = match config.site.has_restaurant() {
        true => {
            let engine = engine::Options { settings: config.settings.clone(), ..engine::Options::default() };
            let options = bistro::Options { engine, clock: WallClock::skewed(config.settings.clone()) };
            Some(Bistro::open(&config.data_dir.join(BISTRO_FILE), options)?)
        }
        false => None,
    };
    let supplier = match &bistro {
        Some(_) => Some(supply::start_supplier(&config.settings)?),
        None => None,
    };
    let log = recorder.clone();
    let mut names = dns_names(config.dns, &config.app_addresses, supplier.as_ref());
    names.live.settings = config.settings.clone();
    let dns = DnsServer::start(names.clone(), Arc::new(move |part| log.submit(Part::Dns(part)))).await?;
    let maker = bistro.as_ref().map(|bistro| InstanceMaker {
        bistro: bistro.clone(),
        hasher: config.hasher.clone(),
        recorder: recorder.clone(),
        hop_secret: hop_secret.clone(),
        settings: config.settings.clone(),
    });
    let (mut instances, mut supplies) = (Vec::new(), None);
    if let (Some(maker), Some(supplier)) = (&maker, supplier) {
        let mut buyers = Supplies::new(supplier, dns.address(), &config.ca_pem, recorder.clone())?;
        let start = |number| maker.start(number, FIRST_VERSION, &mut buyers);
        instances = (1..=config.instances).map(start).collect::<Result<_, _>>()?;
        supplies = Some(buyers);
    }

    let happenings = Happenings::default();
    let restaurant = bistro.as_ref().map(|_| {
        let balancer = Balancer::new(site::instances(&instances), config.settings.clone(), hop_secret.clone());
        balancer.report_to(&happenings);
        balancer
    });
    let ground = Ground {
        settings: config.settings.clone(),
        happenings: happenings.clone(),
        restaurant,
        hop_secret,
        hosts: app_hosts(&config)?.with_hsts(config.hsts),
        trust: UpstreamTrust::default(),
    };
    let pools = ground.pools(&config.site, &Pools::new()).await?;
    let site = ground.site(&config.site, &pools)?;
    let flaws = Flaws::new(config.authority, &certified_names(&config.app_names));
    let tls = Listener { socket: config.app, tls: Some(config.tls) };
    let plain = config.app_http.map(|socket| Listener { socket, tls: None });
    let edge = Edge::start(
        EdgeConfig {
            listeners: std::iter::once(tls).chain(plain).collect(),
            site,
            settings: config.settings.clone(),
            probe_key: probe_key.clone(),
            workers: config.workers,
            // One edge may stand behind another; only its own name says that a request goes in a circle.
            via: format!("{VIA}-{}", secret::hex(&secret::random_bytes::<3>()?)),
            flaws: Some(flaws),
        },
        recorder.clone(),
    )?;

    if let Some(bistro) = &bistro {
        let cache = edge.cache().clone();
        bistro.invalidation().clears(move || {
            cache.purge_path(MENU_PATH);
        });
    }
    let own = ground.restaurant.as_ref();
    let dns_follows = own.map(|balancer| DnsFollows::start(dns.names(), balancer, names));
    let own = ClientConfig {
        resolver: Resolver::at(dns.address()),
        roots: Roots::Pem(config.ca_pem),
        probe_key: Some(probe_key),
        ca_path: Some(config.ca_path),
        detail: true,
    };
    let client = Client::of_stack(own, config.settings.clone())?;
    let (app, app_http, dns_address) = (edge.addresses()[0], edge.addresses().get(1).copied(), dns.address());
    let servers = Arc::new(Mutex::new(Some(Servers { edge, instances, supplies, dns, dns_follows })));
    let own = maker.clone().zip(ground.restaurant.clone());
    let instances = own.map(|(maker, balancer)| Instances::new(&servers, maker, balancer, happenings.clone()));
    let restores = Restores::default();
    let keepers = maker.clone().zip(instances.clone()).map(|(maker, instances)| {
        let bistro = maker.bistro.clone();
        Keepers::start(&config.settings, &bistro, Kills { servers: Arc::clone(&servers), maker, instances })
    });
    Ok(Stack {
        app,
        app_http,
        dns: dns_address,
        servers,
        keepers: Mutex::new(keepers),
        maker,
        instances,
        ground,
        pools: Mutex::new(pools),
        backups: Backups::new(&config.data_dir, bistro.clone()),
        loads: AtomicU64::new(0),
        bistro,
        client,
        recorder,
        _expiry: Expiry::start(&config.settings, &happenings, &restores),
        restores,
        happenings,
        exports: Arc::default(),
        settings: config.settings,
        data_dir: config.data_dir,
        started: Instant::now(),
    })
}

/// Names and addresses under which the edge answers.
fn certified_names(more: &[String]) -> Vec<String> {
    let own = [APP_LOCAL_NAME, APP_NAME, APP_ALIAS, "localhost", "127.0.0.1", "::1"].map(str::to_owned);
    own.iter().chain(more).cloned().collect()
}

fn app_hosts(config: &StackConfig) -> Result<HostList, StackError> {
    let names = certified_names(&config.app_names);
    let port =
        |socket: &TcpListener| Ok::<_, StackError>(socket.local_addr().map_err(crate::edge::EdgeError::from)?.port());
    let hosts = HostList::new(&names, port(&config.app)?, 443);
    Ok(match &config.app_http {
        Some(socket) => hosts.and(HostList::new(&names, port(socket)?, 80)),
        None => hosts,
    })
}

/// What the stack's DNS server knows whatever happens.
fn dns_names(bind: SocketAddr, app: &[IpAddr], supplier: Option<&Supplier>) -> DnsConfig {
    let mut names = DnsConfig::new(bind).alias(APP_ALIAS, APP_NAME);
    names.live = Live {
        app: [APP_NAME, APP_LOCAL_NAME, APP_ALIAS].map(str::to_owned).into(),
        console: CONSOLE_NAMES.map(str::to_owned).into(),
        ..Live::default()
    };
    if let Some(supplier) = supplier {
        names = names.address(supplier::NAME, supplier.address().ip());
    }
    for ip in app {
        for name in [APP_NAME, APP_LOCAL_NAME].into_iter().chain(CONSOLE_NAMES) {
            names = names.address(name, *ip);
        }
    }
    names
}
