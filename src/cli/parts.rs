//! The parts of a server, each made from what was configured.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::CliError;
use super::certificates::Shown;
use super::data_dir::DataDir;
use super::run_file::RunFile;
use crate::console::door::{Door, DoorConfig};
use crate::console::{self, Console, ConsoleConfig};
use crate::settings::runtime::Settings;
use crate::settings::startup::Startup;
use crate::stack::reload::Reloader;
use crate::stack::{APP_LOCAL_NAME, APP_NAME, Stack, StackConfig};
use crate::store::control::Control;
use crate::store::hasher::Hasher;
use crate::tls::{Authority, server_config};
use crate::web::host::HostList;

/// The console's name in the embedded DNS.
const CONSOLE_NAME: &str = "console.roundtrip.test";

/// What the parts of a server have in common while they are put together.
pub struct Parts<'a> {
    pub startup: &'a Startup,
    pub folder: &'a DataDir,
    /// Names and addresses that everything here answers to.
    pub machine: Vec<String>,
    /// Of the console and of the door.
    pub ports: (u16, u16),
    pub control_key: [u8; 32],
    pub hasher: Hasher,
    pub control: Control,
    pub authority: Authority,
    pub shown: Shown,
}

impl Parts<'_> {
    pub async fn stack(
        &self,
        app: TcpListener,
        app_http: Option<TcpListener>,
        dns: SocketAddr,
    ) -> Result<Arc<Stack>, CliError> {
        let stack = Stack::start(StackConfig {
            data_dir: self.folder.path().to_owned(),
            instances: self.startup.instances,
            workers: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            app,
            app_http,
            site: self.startup.site.clone(),
            app_names: self.machine.clone(),
            hsts: self.shown.hsts.clone(),
            dns,
            app_addresses: vec![self.startup.bind],
            tls: self.tls()?,
            authority: self.authority.clone(),
            ca_pem: self.authority.ca_pem().as_bytes().to_vec(),
            ca_path: self.authority.ca_path(),
            control_key: self.control_key,
            hasher: self.hasher.clone(),
            settings: Settings::starting_with(&self.startup.settings),
        });
        stack.await.map(Arc::new).map_err(failed)
    }

    pub fn console(
        &self,
        listener: TcpListener,
        stack: &Arc<Stack>,
        reloader: &Arc<Reloader>,
    ) -> Result<Console, CliError> {
        let hosts = self.hosts(&[console::NAME, CONSOLE_NAME], self.ports.0, 443);
        let console = Console::start(ConsoleConfig {
            listener,
            tls: self.tls()?,
            hosts: hosts.with_hsts(self.shown.hsts.clone()),
            stack: Arc::clone(stack),
            reloader: Arc::clone(reloader),
            control: self.control.clone(),
            hasher: self.hasher.clone(),
            control_key: self.control_key,
            door_url: self.door_url(),
        });
        console.map_err(failed)
    }

    pub fn door(&self, listener: TcpListener, stack: &Stack) -> Result<Door, CliError> {
        let door = Door::start(DoorConfig {
            listener,
            hosts: self.hosts(&["localhost", console::NAME], self.ports.1, 80),
            control: self.control.clone(),
            ca_pem: self.authority.ca_pem().to_owned(),
            ca_fingerprint: self.authority.fingerprint(),
            console_url: self.console_url(console::NAME),
            console_fallback_url: self.console_url("localhost"),
            app_url: stack.browser_url(),
        });
        door.map_err(failed)
    }

    pub fn run_file(&self, stack: &Stack, setup_url: Option<String>) -> RunFile {
        RunFile {
            console: self.console_url(console::NAME),
            app: stack.browser_url(),
            http: self.door_url(),
            dns: stack.dns(),
            ca: self.authority.ca_path(),
            setup_url,
            data_dir: self.folder.path().to_owned(),
            pid: std::process::id(),
            app_http: stack.app_http().map(|address| format!("http://{}:{}", self.at("localhost"), address.port())),
            control: format!("https://{CONSOLE_NAME}:{}", self.ports.0),
            app_named: stack.app_url(),
        }
    }

    fn tls(&self) -> Result<Arc<rustls::ServerConfig>, CliError> {
        server_config(self.shown.resolver.clone(), &[b"h2", b"http/1.1"]).map_err(failed)
    }

    fn hosts(&self, names: &[&str], port: u16, default_port: u16) -> HostList {
        let names = names.iter().map(|name| (*name).to_owned()).chain(self.machine.iter().cloned());
        HostList::new(&names.collect::<Vec<_>>(), port, default_port)
    }

    fn console_url(&self, name: &str) -> String {
        format!("https://{}:{}", self.at(name), self.ports.0)
    }

    pub fn door_url(&self) -> String {
        format!("http://{}:{}", self.at("localhost"), self.ports.1)
    }

    /// A name of this machine leads to loopback, where nobody listens if it is bound elsewhere: others come
    /// by the address.
    fn at(&self, name: &str) -> String {
        match self.startup.bind {
            ip if ip.is_loopback() => name.to_owned(),
            IpAddr::V6(ip) => format!("[{ip}]"),
            IpAddr::V4(ip) => ip.to_string(),
        }
    }
}

/// Names and addresses of the machine itself: app, console and door answer to them, and the certificate
/// stands for them.
pub fn machine_names(bind: IpAddr) -> Vec<String> {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let host = crate::tls::host_name();
    let host_names = host.iter().flat_map(|host| [host.clone(), format!("{host}.local")]);
    let bind = Some(bind.to_string()).filter(|bind| !own.contains(bind));
    own.iter().cloned().chain(host_names).chain(bind).collect()
}

/// What the server's certificate stands for: the machine's names, and those of what runs on it.
pub fn certificate_names(machine: &[String]) -> Vec<String> {
    let own = [console::NAME, APP_LOCAL_NAME, APP_NAME, "www.bistro.roundtrip.test", CONSOLE_NAME];
    machine.iter().cloned().chain(own.map(str::to_owned)).collect()
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::new(error.to_string())
}
