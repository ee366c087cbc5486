//! The supplier: a shop that stands for the outside world, so a real HTTP service on a socket of its own. It is as
//! slow, as flaky or as closed as the faults that are on say, and delivers what is asked for twice once.

mod book;
mod catalogue;
mod handlers;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, middleware, web};

use crate::settings::runtime::Settings;
use crate::web::host::HostList;
use book::Book;

/// The supplier's name in the embedded DNS.
pub const NAME: &str = "supplier.roundtrip.test";

/// A delivery is asked for in a line.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// What the handlers share.
struct Shop {
    settings: Settings,
    hosts: HostList,
    book: Arc<Book>,
}

/// A running supplier. Dropping it cuts everything.
#[derive(Debug)]
pub struct Supplier {
    address: SocketAddr,
    handle: ServerHandle,
    book: Arc<Book>,
}

impl Supplier {
    /// Starts answering on `listener`, in one worker thread.
    pub fn start(listener: TcpListener, settings: Settings) -> std::io::Result<Supplier> {
        let address = listener.local_addr()?;
        let book = Arc::new(Book::default());
        let shop = web::Data::new(Shop {
            settings,
            hosts: HostList::new(&[NAME.to_owned(), address.ip().to_string()], address.port(), 80),
            book: Arc::clone(&book),
        });
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shop.clone())
                .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
                .wrap(middleware::from_fn(handlers::door))
                .configure(handlers::configure)
        })
        .workers(1)
        .disable_signals()
        .h1_allow_half_closed(false)
        .listen(listener)?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Supplier { address, handle, book })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Deliveries made since the start.
    pub fn deliveries(&self) -> u64 {
        self.book.deliveries()
    }

    /// Stops at once: nobody's data is here.
    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

impl Drop for Supplier {
    fn drop(&mut self) {
        // Told is enough: the server ends by itself.
        drop(self.handle.stop(false));
    }
}
