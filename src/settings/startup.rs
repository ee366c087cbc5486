//! Start-up configuration: what was typed ([`ServeFlags`]), and what it comes to ([`Startup`]).
//!
//! A flag goes before its environment variable (both read by clap), that before the file, that before
//! the default. This is the only module that reads the environment.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, CommandFactory, Parser};
use serde::Deserialize;
use serde_json::Value;

use super::runtime::{self, Snapshot};
use super::site::{self, SiteFile, SitePlan};
use crate::observe::log::access::AccessForm;
use crate::observe::log::{LogFormat, LogOptions};

/// Similarity from which a wrong key is worth a "did you mean" (Jaro-Winkler, 0 to 1).
const SIMILAR: f64 = 0.8;
/// The table of the file that settings stand in.
const SETTINGS: &str = "settings";
/// The key of the file that names the hosts to which load may be sent.
const LOAD_HOSTS: &str = "load-hosts";
/// The file that is read when it is there.
pub const FILE: &str = "roundtrip.toml";
/// The folder of everything a person owns.
pub const DATA_DIR: &str = "roundtrip_data";
/// Between two backups.
const BACKUP_EVERY: Duration = Duration::from_secs(60 * 60);
const BACKUP_EVERY_RANGE: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(30 * 24 * 60 * 60);
/// Instances that one stack may have.
pub const INSTANCES_MAX: usize = 16;

/// Flags of `roundtrip serve`. Each has an environment variable and a key in the file of the same name.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ServeFlags {
    /// Port of the console (HTTPS) [default: 8443, or the next free one]
    #[arg(long, env = "ROUNDTRIP_CONSOLE_PORT", value_name = "PORT")]
    pub console_port: Option<u16>,
    /// Port of the app, the edge (HTTPS) [default: 8444, or the next free one]
    #[arg(long, env = "ROUNDTRIP_APP_PORT", value_name = "PORT")]
    pub app_port: Option<u16>,
    /// Port of the plain page that explains the certificate [default: 8080, or the next free one]
    #[arg(long, env = "ROUNDTRIP_HTTP_PORT", value_name = "PORT")]
    pub http_port: Option<u16>,
    /// Port of the DNS server, UDP and TCP [default: 5300, or the next free one]
    #[arg(long, env = "ROUNDTRIP_DNS_PORT", value_name = "PORT")]
    pub dns_port: Option<u16>,
    /// Folder of everything that is yours [default: ./roundtrip_data]
    #[arg(long, env = "ROUNDTRIP_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Address to listen on; beyond this machine only once there is an owner [default: 127.0.0.1]
    #[arg(long, env = "ROUNDTRIP_BIND", value_name = "IP")]
    pub bind: Option<IpAddr>,
    /// Put the edge before your own service instead of the restaurant: http://127.0.0.1:3000; several are balanced
    #[arg(long, env = "ROUNDTRIP_UPSTREAM", value_name = "URL", value_delimiter = ',')]
    pub upstream: Vec<String>,
    /// Port on which the app answers in plain HTTP/1.1 and h2c, too [default: off]
    #[arg(long, env = "ROUNDTRIP_APP_HTTP_PORT", value_name = "PORT")]
    pub app_http_port: Option<u16>,
    /// Certificate of your own for app and console, the whole chain, PEM [default: one of the local authority]
    #[arg(long, env = "ROUNDTRIP_CERT", value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The key of --cert, PEM
    #[arg(long, env = "ROUNDTRIP_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Have browsers insist on HTTPS for the names of --cert, on all their ports, for so long; 0 is off [default: 0]
    #[arg(long, env = "ROUNDTRIP_HSTS", value_name = "SECONDS")]
    pub hsts: Option<u32>,
    /// Copies of the application behind the balancer [default: 3]
    #[arg(long, env = "ROUNDTRIP_INSTANCES", value_name = "N")]
    pub instances: Option<usize>,
    /// How often the data is backed up, if anything was written: 30s, 15m, 1h, 1d; or off [default: 1h]
    #[arg(long, env = "ROUNDTRIP_BACKUP_EVERY", value_name = "DURATION")]
    pub backup_every: Option<String>,
    /// How lines on standard error look [default: text]
    #[arg(long, env = "ROUNDTRIP_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What standard error gets: error, warn, info, debug, trace, off; or by module, such as warn,balancer=info
    /// [default: warn]
    #[arg(long, env = "RUST_LOG", value_name = "FILTER")]
    pub log_level: Option<String>,
    /// Whether standard error gets a line for each request, and which [default: off]
    #[arg(long, env = "ROUNDTRIP_ACCESS_LOG", value_name = "FORM")]
    pub access_log: Option<AccessForm>,
    /// Collector that gets the kept traces (OTLP/HTTP): http://127.0.0.1:4318 [default: none]
    #[arg(long, env = "ROUNDTRIP_OTLP", value_name = "URL")]
    pub otlp: Option<String>,
    /// Open the browser
    #[arg(long, env = "ROUNDTRIP_OPEN", value_parser = FalseyValueParser::new())]
    pub open: bool,
    /// Print one JSON object when everything listens, instead of the greeting
    #[arg(long, env = "ROUNDTRIP_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}

/// A port, and whether somebody insists on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    /// This one or none; 0 lets the system choose.
    Asked(u16),
    /// This one or the next that is free.
    Default(u16),
}

impl PortChoice {
    fn of(asked: Option<u16>, default: u16) -> Self {
        asked.map_or(PortChoice::Default(default), PortChoice::Asked)
    }
}

/// A certificate of the operator's own: two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// What `roundtrip serve` goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    pub console_port: PortChoice,
    pub app_port: PortChoice,
    pub http_port: PortChoice,
    pub dns_port: PortChoice,
    pub data_dir: PathBuf,
    pub bind: IpAddr,
    /// None: the app answers over TLS alone.
    pub app_http_port: Option<PortChoice>,
    pub site: SitePlan,
    /// What settings begin with, where that is not their default; every value fits.
    pub settings: Vec<(String, Value)>,
    pub certificate: Option<CertificateFiles>,
    /// `max-age` of Strict-Transport-Security; 0 is none.
    pub hsts: u32,
    pub instances: usize,
    /// None: only when somebody asks.
    pub backup_every: Option<Duration>,
    pub log: LogOptions,
    /// None: no trace is exported.
    pub otlp: Option<String>,
    pub open: bool,
    pub json: bool,
}

/// What is wrong with the configuration, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadConfiguration(pub String);

/// For the names of the flags: clap knows them.
#[derive(Parser)]
struct Names {
    #[command(flatten)]
    _flags: ServeFlags,
}

impl Startup {
    /// Resolves `flags` (which clap has joined with the environment) with the file in `folder`.
    pub fn resolve(flags: ServeFlags, folder: &Path) -> Result<Startup, BadConfiguration> {
        let FileText { flags: file, site, settings, .. } = read_file(&folder.join(FILE))?;
        let upstreams = if flags.upstream.is_empty() { &file.upstream } else { &flags.upstream };
        let site = SitePlan::resolve(upstreams, site)?;
        let instances = flags.instances.or(file.instances).unwrap_or(3);
        if !(1..=INSTANCES_MAX).contains(&instances) {
            return Err(BadConfiguration(format!("instances is {instances}; 1 to {INSTANCES_MAX} are possible")));
        }
        let certificate = certificate_files(flags.cert.or(file.cert), flags.key.or(file.key))?;
        let hsts = flags.hsts.or(file.hsts).unwrap_or(0);
        if hsts > 0 && certificate.is_none() {
            return Err(BadConfiguration(
                "hsts needs a certificate of your own (--cert and --key): a browser that insists on HTTPS could \
                 not get past the warning about the local one"
                    .to_owned(),
            ));
        }
        Ok(Startup {
            console_port: PortChoice::of(flags.console_port.or(file.console_port), 8443),
            app_port: PortChoice::of(flags.app_port.or(file.app_port), 8444),
            http_port: PortChoice::of(flags.http_port.or(file.http_port), 8080),
            dns_port: PortChoice::of(flags.dns_port.or(file.dns_port), 5300),
            data_dir: data_dir_of(flags.data_dir, file.data_dir),
            bind: flags.bind.or(file.bind).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            app_http_port: flags.app_http_port.or(file.app_http_port).map(PortChoice::Asked),
            site,
            settings,
            certificate,
            hsts,
            instances,
            backup_every: backup_every(flags.backup_every.or(file.backup_every).as_deref())?,
            log: LogOptions {
                format: flags.log_format.or(file.log_format).unwrap_or_default(),
                filter: log_filter(flags.log_level.or(file.log_level))?,
                access: flags.access_log.or(file.access_log).unwrap_or_default(),
            },
            otlp: flags.otlp.or(file.otlp),
            open: flags.open || file.open,
            json: flags.json || file.json,
        })
    }
}

/// Where a configuration comes from, so that it can be read again.
#[derive(Debug, Clone)]
pub struct Source {
    pub flags: ServeFlags,
    /// The folder of `roundtrip.toml`.
    pub folder: PathBuf,
}

impl Source {
    /// What it says now.
    pub fn read(&self) -> Result<Startup, BadConfiguration> {
        Startup::resolve(self.flags.clone(), &self.folder)
    }
}

impl Startup {
    /// The keys that `later` has other values for, and that only a new start can change.
    pub fn needs_restart(&self, later: &Startup) -> Vec<&'static str> {
        let differs = [
            ("console-port", self.console_port != later.console_port),
            ("app-port", self.app_port != later.app_port),
            ("app-http-port", self.app_http_port != later.app_http_port),
            ("http-port", self.http_port != later.http_port),
            ("dns-port", self.dns_port != later.dns_port),
            ("data-dir", self.data_dir != later.data_dir),
            ("bind", self.bind != later.bind),
            ("cert", self.certificate != later.certificate),
            ("hsts", self.hsts != later.hsts),
            ("instances", self.instances != later.instances),
            ("backup-every", self.backup_every != later.backup_every),
            ("log-format", self.log.format != later.log.format),
            ("log-level", self.log.filter != later.log.filter),
            ("otlp", self.otlp != later.otlp),
            ("access-log", self.log.access != later.log.access),
        ];
        differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

/// In the words of `RUST_LOG`. Who writes nothing of it has not asked for anything.
fn log_filter(text: Option<String>) -> Result<Option<String>, BadConfiguration> {
    let text = text.filter(|text| !text.trim().is_empty());
    if let Some(text) = &text {
        let wrong = |error| BadConfiguration(format!("log-level is '{text}': {error}; such as warn,balancer=info"));
        env_filter::Builder::new().try_parse(text).map_err(wrong)?;
    }
    Ok(text)
}

/// A number and its unit; or `off`.
fn backup_every(text: Option<&str>) -> Result<Option<Duration>, BadConfiguration> {
    let text = match text {
        None => return Ok(Some(BACKUP_EVERY)),
        Some("off") => return Ok(None),
        Some(text) => text,
    };
    let unit = |text: &str| match text {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        _ => None,
    };
    let (number, name) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = number.parse::<u64>().ok().zip(unit(name)).and_then(|(number, unit)| number.checked_mul(unit));
    let every = seconds.map(Duration::from_secs).filter(|every| BACKUP_EVERY_RANGE.contains(every));
    let why = || BadConfiguration(format!("backup-every is '{text}'; 10s to 30d are possible (s, m, h, d), or off"));
    every.map(Some).ok_or_else(why)
}

fn certificate_files(
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<CertificateFiles>, BadConfiguration> {
    let alone =
        |here, missing| BadConfiguration(format!("{here} is of no use without {missing}; give both or neither"));
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(CertificateFiles { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(alone("--cert", "--key")),
        (None, Some(_)) => Err(alone("--key", "--cert")),
    }
}

/// The data folder of a command that starts no server: it is found as the server finds it.
pub fn data_dir(flag: Option<PathBuf>, folder: &Path) -> Result<PathBuf, BadConfiguration> {
    Ok(data_dir_of(flag, read_file(&folder.join(FILE))?.flags.data_dir))
}

fn data_dir_of(flag: Option<PathBuf>, file: Option<PathBuf>) -> PathBuf {
    flag.or(file).unwrap_or_else(|| PathBuf::from(DATA_DIR))
}

/// The hosts beyond this machine to which the owner of `roundtrip.toml` lets load be sent: names or addresses,
/// lower case.
pub fn load_hosts(folder: &Path) -> Result<Vec<String>, BadConfiguration> {
    let hosts = read_file(&folder.join(FILE))?.load_hosts;
    Ok(hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect())
}

/// What `roundtrip.toml` says; no file says nothing.
#[derive(Default)]
struct FileText {
    /// Its keys as if they were flags.
    flags: ServeFlags,
    site: SiteFile,
    settings: Vec<(String, Value)>,
    load_hosts: Vec<String>,
}

fn read_file(path: &Path) -> Result<FileText, BadConfiguration> {
    let bad = |reason: String| BadConfiguration(format!("{}: {reason}", path.display()));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(FileText::default()),
        Err(error) => return Err(bad(error.to_string())),
    };
    let one_line = |error: toml::de::Error| bad(error.to_string().replace('\n', " "));
    let mut table: toml::Table = toml::from_str(&text).map_err(one_line)?;
    let mut site = toml::Table::new();
    for key in site::KEYS {
        site.extend(table.remove(key).map(|value| (key.to_owned(), value)));
    }
    let load_hosts = table.remove(LOAD_HOSTS).map_or(Ok(Vec::new()), toml::Value::try_into).map_err(one_line)?;
    let settings = table.remove(SETTINGS).map_or(Ok(Vec::new()), settings).map_err(bad)?;
    let command = Names::command();
    let known =
        command.get_arguments().filter_map(|arg| arg.get_long()).chain(site::KEYS).chain([SETTINGS, LOAD_HOSTS]);
    let known: Vec<&str> = known.collect();
    if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(bad(format!("there is no key '{key}'{}", did_you_mean(key, &known))));
    }
    let flags = toml::Value::Table(table).try_into().map_err(one_line)?;
    Ok(FileText { flags, site: toml::Value::Table(site).try_into().map_err(one_line)?, settings, load_hosts })
}

/// The table `[settings]`: rows of the one table of settings, as a stack begins with them. `balancer.policy`
/// is one key there, though TOML reads a table within a table.
fn settings(table: toml::Value) -> Result<Vec<(String, Value)>, String> {
    let mut found = Vec::new();
    flatten("", &table, &mut found)?;
    let mut trial = Snapshot::default();
    for (key, value) in &found {
        let keys: Vec<&str> = runtime::rows().map(|row| row.key).collect();
        let row = runtime::rows().find(|row| row.key == key);
        let row = row.ok_or_else(|| format!("there is no setting '{key}'{}", did_you_mean(key, &keys)))?;
        row.check(value).map_err(|reason| format!("{key}: {reason}"))?;
        row.set(&mut trial, value);
    }
    Ok(found)
}

fn flatten(prefix: &str, value: &toml::Value, found: &mut Vec<(String, Value)>) -> Result<(), String> {
    match value {
        toml::Value::Table(table) => table.iter().try_for_each(|(key, value)| {
            let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            flatten(&key, value, found)
        }),
        value => {
            found.push((prefix.to_owned(), serde_json::to_value(value).map_err(|error| error.to_string())?));
            Ok(())
        }
    }
}

/// The one of `known` that `word` is most like, if it is at all.
pub(super) fn alike<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |known: &&&str| strsim::jaro_winkler(word, known);
    let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.filter(|best| likeness(best) >= SIMILAR).copied()
}

/// The end of a complaint about a word that is not among `known`.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> String {
    match alike(word, known) {
        Some(best) => format!("; did you mean '{best}'?"),
        None => format!("; known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(flags: ServeFlags, file: &str) -> Result<Startup, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE), file).expect("a file");
        Startup::resolve(flags, folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_flag_goes_before_the_file_and_that_before_the_default() {
        let flags = ServeFlags { app_port: Some(1), ..ServeFlags::default() };
        let startup = resolved(flags, "app-port = 2\nhttp-port = 3\n").expect("fits");
        assert_eq!(startup.app_port, PortChoice::Asked(1));
        assert_eq!(startup.http_port, PortChoice::Asked(3));
        assert_eq!(startup.console_port, PortChoice::Default(8443));
    }

    #[test]
    fn settings_of_the_file_are_rows_of_the_table() {
        let file = "[settings]\nbalancer.policy = 'random'\n'http.cache.enabled' = false\ndata.cache.ttl = 0\n";
        let startup = resolved(ServeFlags::default(), file).expect("fits");
        let settings: Vec<String> = startup.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(settings, ["balancer.policy=\"random\"", "data.cache.ttl=0", "http.cache.enabled=false"]);
        for (wrong, why) in [
            ("balancer.polcy = 'random'", "no setting 'balancer.polcy'; did you mean 'balancer.policy'?"),
            ("data.cache.ttl = -1", "data.cache.ttl: takes"),
            ("balancer.policy = 1", "balancer.policy: takes"),
        ] {
            let error = resolved(ServeFlags::default(), &format!("[settings]\n{wrong}\n")).expect_err(wrong);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_key_nobody_knows_is_fatal_and_names_the_one_meant() {
        let error = resolved(ServeFlags::default(), "app-prot = 2").expect_err("is refused");
        assert!(error.ends_with("there is no key 'app-prot'; did you mean 'app-port'?"), "{error}");
        for wrong in ["app-port = 99999", "app-port = ", "instances = 0", "bind = \"nowhere\""] {
            let error = resolved(ServeFlags::default(), wrong).expect_err(wrong);
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn backups_are_made_every_so_often_or_not_at_all() {
        let every = |text: &str| {
            let flags = ServeFlags { backup_every: Some(text.to_owned()), ..ServeFlags::default() };
            resolved(flags, "backup-every = \"2h\"").map(|startup| startup.backup_every)
        };
        assert_eq!(every("90s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(every("1d"), Ok(Some(Duration::from_secs(86_400))));
        assert_eq!(every("off"), Ok(None));
        for wrong in ["", "1", "h", "0s", "1y", "-1h", "99999999999999999999h"] {
            assert!(every(wrong).expect_err(wrong).contains("backup-every"), "{wrong}");
        }
        let default = resolved(ServeFlags::default(), "").expect("fits");
        assert_eq!(default.backup_every, Some(Duration::from_secs(3_600)));
    }

    #[test]
    fn a_certificate_has_its_key_and_only_with_it_browsers_may_insist_on_https() {
        let flags = |cert: &str, key: &str| ServeFlags {
            cert: Some(cert).filter(|path| !path.is_empty()).map(PathBuf::from),
            key: Some(key).filter(|path| !path.is_empty()).map(PathBuf::from),
            ..ServeFlags::default()
        };
        let both = resolved(flags("a", ""), "key = \"b\"\nhsts = 60\n").expect("fits");
        assert_eq!(both.certificate, Some(CertificateFiles { cert: "a".into(), key: "b".into() }));
        assert_eq!(both.hsts, 60);
        assert!(resolved(flags("a", ""), "").expect_err("no key").contains("--key"));
        assert!(resolved(flags("", "b"), "").expect_err("no certificate").contains("--cert"));
        assert!(resolved(flags("", ""), "hsts = 60").expect_err("no certificate").contains("--cert"));
        assert_eq!(resolved(flags("", ""), "hsts = 0").expect("off").hsts, 0);
    }
}
