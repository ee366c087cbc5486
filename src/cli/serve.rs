//! `roundtrip serve`: everything, from an empty folder to an orderly stop.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::task::JoinSet;

use super::data_dir::DataDir;
use super::parts::{Parts, certificate_names, machine_names};
use super::remote::read_ca;
use super::run_file::RunFile;
use super::{CliError, certificates, listen, start_log};
use crate::console::Console;
use crate::console::door::Door;
use crate::settings::startup::{ServeFlags, Source, Startup};
use crate::stack::Stack;
use crate::stack::otlp::{Collector, Exporter, Pace};
use crate::stack::reload::Reloader;
use crate::store::CONTROL_FILE;
use crate::store::control::{self, Control};
use crate::store::hasher::{Cost, Hasher};
use crate::tls::{Authority, Given};

/// How long what is under way may take at an orderly stop.
const DRAIN: Duration = Duration::from_secs(10);
const OWNER_FIRST: &str = "others may reach this machine only once it has an owner; run: roundtrip owner create";

pub async fn serve(flags: ServeFlags) -> Result<(), CliError> {
    let source = Source { flags, folder: PathBuf::from(".") };
    let startup = source.read().map_err(failed)?;
    start_log(&startup.log)?;
    // Registered first: a signal during the start is an orderly stop, too.
    let stopped = stop_signal()?;
    let mut reload = ReloadSignal::new()?;
    refuse_bind(&startup)?;
    let collector = collector(&startup)?;
    let given = certificates::given(&startup)?;
    let folder = DataDir::open(&startup.data_dir)?;
    // What is refused most often comes before anything is put into the folder: so nothing is touched.
    let sockets = match Sockets::bind(&startup) {
        Ok(sockets) => sockets,
        Err(refusal) => {
            folder.unmake();
            return Err(refusal);
        }
    };
    let mut server = Server::start(&startup, source, &folder, sockets, given).await?;
    if let Some(Err(refusal)) = collector.map(|collector| server.export_to(&collector)) {
        server.stop(&folder).await?;
        return Err(refusal);
    }
    server.announce(&startup, &folder).await?;
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            () = stopped.as_mut() => return server.stop(&folder).await,
            () = reload.heard() => if let Err(problem) = server.console.load_configuration("SIGHUP").await {
                log::error!("the configuration was not loaded again: {}", problem.detail);
            },
        }
    }
}

/// Bound, but nobody answers yet.
struct Sockets {
    console: TcpListener,
    app: TcpListener,
    app_http: Option<TcpListener>,
    http: TcpListener,
    dns: SocketAddr,
}

impl Sockets {
    fn bind(startup: &Startup) -> Result<Sockets, CliError> {
        Ok(Sockets {
            console: listen::tcp("the console", "--console-port", startup.bind, startup.console_port)?,
            app: listen::tcp("the app", "--app-port", startup.bind, startup.app_port)?,
            app_http: startup
                .app_http_port
                .map(|port| listen::tcp("the app in plain HTTP", "--app-http-port", startup.bind, port))
                .transpose()?,
            http: listen::tcp("the plain page", "--http-port", startup.bind, startup.http_port)?,
            dns: listen::dns(startup.bind, startup.dns_port)?,
        })
    }
}

/// Everything that runs.
struct Server {
    stack: Arc<Stack>,
    console: Console,
    door: Door,
    control: Control,
    /// Of the certificates, and of the data.
    upkeep: JoinSet<()>,
    /// Of traces, if somebody collects them.
    exporter: Option<Exporter>,
    run: RunFile,
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::new(error.to_string())
}

impl Server {
    async fn start(
        startup: &Startup,
        source: Source,
        folder: &DataDir,
        sockets: Sockets,
        given: Option<Arc<Given>>,
    ) -> Result<Server, CliError> {
        let authority = Authority::load_or_create(folder.path(), OffsetDateTime::now_utc()).map_err(failed)?;
        let control = Control::open(&folder.path().join(CONTROL_FILE), control::Options::default()).map_err(failed)?;
        let started = Server::start_on(startup, source, folder, control.clone(), authority, sockets, given).await;
        if started.is_err() {
            // A start that is refused leaves the folder as it was: no journal beside the database, no key.
            control.close().await.map_err(failed)?;
            folder.forget_run();
        }
        started
    }

    async fn start_on(
        startup: &Startup,
        source: Source,
        folder: &DataDir,
        control: Control,
        authority: Authority,
        sockets: Sockets,
        given: Option<Arc<Given>>,
    ) -> Result<Server, CliError> {
        let owner = control.owner().await.map_err(failed)?;
        if !startup.bind.is_loopback() && owner.is_none() {
            return Err(CliError::new(OWNER_FIRST));
        }
        let mut machine = machine_names(startup.bind);
        let shown = certificates::show(startup, &authority, &certificate_names(&machine), given)?;
        machine.extend(shown.names.iter().cloned());
        let port = |socket: &TcpListener| socket.local_addr().map(|address| address.port()).map_err(failed);
        let parts = Parts {
            startup,
            folder,
            machine,
            ports: (port(&sockets.console)?, port(&sockets.http)?),
            control_key: folder.make_control_key()?,
            hasher: Hasher::start(Cost::default()).map_err(failed)?,
            control,
            authority,
            shown,
        };
        let Sockets { console, app, app_http, http, dns } = sockets;
        let stack = parts.stack(app, app_http, dns).await?;
        let reloader = Arc::new(Reloader::new(Arc::clone(&stack), source, startup.clone()));
        let console = parts.console(console, &stack, &reloader)?;
        let door = parts.door(http, &stack)?;
        stack.ready().await;
        let setup_url = match owner {
            Some(_) => None,
            None => {
                let token = parts.control.create_setup_token().await.map_err(failed)?;
                Some(format!("{}/#{token}", parts.door_url()))
            }
        };
        let run = parts.run_file(&stack, setup_url);
        run.write(folder)?;
        let (control, mut upkeep) = (parts.control, parts.shown.upkeep);
        if let Some(every) = startup.backup_every {
            upkeep.spawn(stack.backups().clone().schedule(every));
        }
        Ok(Server { stack, console, door, control, upkeep, exporter: None, run })
    }

    fn export_to(&mut self, collector: &Collector) -> Result<(), CliError> {
        let ca_pem = read_ca(&self.run.ca)?;
        let exporter = Exporter::start(collector, self.stack.recorder(), &ca_pem, Pace::default());
        self.exporter = Some(exporter.map_err(failed)?);
        Ok(())
    }

    /// Says where it is: for a person, or as one JSON object for a script.
    async fn announce(&self, startup: &Startup, folder: &DataDir) -> Result<(), CliError> {
        if startup.json {
            println!("{}", self.run.announcement());
        } else {
            println!("{}", self.greeting(folder.new).await?);
        }
        if startup.open {
            let url = self.run.setup_url.as_deref().unwrap_or(&self.run.http);
            if let Err(error) = open::that_detached(url) {
                eprintln!("The browser could not be opened ({error}); open the address yourself.");
            }
        }
        Ok(())
    }

    async fn greeting(&self, new: bool) -> Result<String, CliError> {
        let program = std::env::args().next().unwrap_or_else(|| "roundtrip".to_owned());
        let folder = self.run.data_dir.display().to_string();
        let (address, hint) = match (&self.run.setup_url, self.control.owner().await.map_err(failed)?) {
            (Some(url), _) => (url.clone(), "works once, for 15 minutes".to_owned()),
            (None, Some(owner)) => (self.run.console.clone(), format!("(sign in as {})", owner.name)),
            (None, None) => (self.run.http.clone(), String::new()),
        };
        let data = match self.stack.counts().await.map_err(failed)?.map(|counts| counts.orders) {
            _ if new => "new; delete it to start again".to_owned(),
            Some(orders) => format!("found, {orders} order{}", if orders == 1 { "" } else { "s" }),
            None => "found".to_owned(),
        };
        let width = address.chars().count().max(folder.chars().count());
        let mut text = format!(
            "Roundtrip {}: nothing leaves this machine\n\n  Open  {address:<width$}     {hint}\n  \
             Data  {folder:<width$}     {data}\n\n  No browser?    {program} probe /api/v1/menu\n",
            env!("CARGO_PKG_VERSION")
        );
        if self.run.setup_url.is_some() {
            text.push_str(&format!("  Link expired?  {program} owner link\n"));
        }
        text.push_str("  Stop           Ctrl-C");
        Ok(text)
    }

    /// Unready, drain, commit, checkpoint; then the proofs of this run go.
    async fn stop(self, folder: &DataDir) -> Result<(), CliError> {
        let Server { stack, console, door, control, upkeep, exporter, .. } = self;
        drop(upkeep);
        // Before the console, which waits for whoever asked for one.
        stack.backups().cancel();
        door.stop().await;
        console.stop().await;
        stack.stop(DRAIN).await.map_err(failed)?;
        if let Some(exporter) = exporter {
            exporter.stop().await;
        }
        control.close().await.map_err(failed)?;
        folder.forget_run();
        Ok(())
    }
}

/// Whoever collects traces, if anybody does.
pub fn collector(startup: &Startup) -> Result<Option<Collector>, CliError> {
    let collector = startup.otlp.as_deref().map(Collector::parse).transpose();
    collector.map_err(|why| CliError::new(format!("otlp: {why}")))
}

/// What is wrong with the address whatever the folder holds: refused before the folder is made.
fn refuse_bind(startup: &Startup) -> Result<(), CliError> {
    if startup.bind.is_unspecified() {
        let bind = startup.bind;
        return Err(CliError::new(format!(
            "--bind {bind} is every address, and no certificate stands for that; name the address that others are to use"
        )));
    }
    if !startup.bind.is_loopback() && !startup.data_dir.join(CONTROL_FILE).exists() {
        return Err(CliError::new(OWNER_FIRST));
    }
    Ok(())
}

/// Ends at Ctrl-C, or when the system asks to stop.
fn stop_signal() -> Result<impl Future<Output = ()>, CliError> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            log::error!("Ctrl-C can't be heard: {error}");
            std::future::pending::<()>().await;
        }
    })
}

/// SIGHUP: load the configuration again, as the daemons of Unix do.
struct ReloadSignal {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl ReloadSignal {
    fn new() -> Result<Self, CliError> {
        Ok(Self {
            #[cfg(unix)]
            hangup: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).map_err(failed)?,
        })
    }

    /// Waits for the next one; for ever on systems without it.
    async fn heard(&mut self) {
        #[cfg(unix)]
        if self.hangup.recv().await.is_some() {
            return;
        }
        std::future::pending().await
    }
}
