//! The supplier, and those who buy from it: one an instance.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::StackError;
use crate::client::{Client, ClientConfig, Resolver, Roots};
use crate::observe::recorder::Recorder;
use crate::service::supply::{Figures, Purchasing, Supply};
use crate::settings::runtime::Settings;
use crate::store::bistro::Bistro;
use crate::supplier::{self, Supplier};

pub fn start_supplier(settings: &Settings) -> Result<Supplier, StackError> {
    let started =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| Supplier::start(listener, settings.clone()));
    started.map_err(StackError::Supplier)
}

impl Buyer {
    /// Lets what is under way end.
    pub async fn stop(self) {
        self.purchasing.stop().await;
    }
}

#[derive(Debug)]
pub struct Supplies {
    supplier: Supplier,
    client: Client,
    recorder: Recorder,
    buyers: Vec<Buyer>,
}

/// Who buys for one instance.
#[derive(Debug)]
pub struct Buyer {
    instance: String,
    supply: Supply,
    purchasing: Purchasing,
}

impl Supplies {
    /// The client finds the supplier by its name, as any client would.
    pub fn new(supplier: Supplier, dns: SocketAddr, ca_pem: &[u8], recorder: Recorder) -> Result<Self, StackError> {
        let client = Client::new(ClientConfig {
            resolver: Resolver::at(dns),
            roots: Roots::Pem(ca_pem.to_vec()),
            probe_key: None,
            ca_path: None,
            detail: false,
        })?;
        Ok(Self { supplier, client, recorder, buyers: Vec::new() })
    }

    /// What an instance buys with.
    pub fn supply(&self, bistro: &Bistro, settings: Settings, seed: u64) -> Supply {
        let origin = format!("http://{}:{}", supplier::NAME, self.supplier.address().port());
        Supply::new(bistro.clone(), self.client.clone(), &origin, settings, seed)
    }

    /// The buyer of an instance, at work from now on.
    pub fn employ(&mut self, instance: &str, supply: Supply) {
        let purchasing = Purchasing::start(supply.clone(), self.recorder.clone());
        self.buyers.push(Buyer { instance: instance.to_owned(), supply, purchasing });
    }

    /// The instance is dead, and its buyer with it.
    pub fn dismiss(&mut self, instance: &str) {
        self.buyers.retain(|buyer| buyer.instance != instance);
    }

    /// The buyer of an instance that leaves, for it to be stopped in order; the one that came first.
    pub fn take(&mut self, instance: &str) -> Option<Buyer> {
        let place = self.buyers.iter().position(|buyer| buyer.instance == instance)?;
        Some(self.buyers.remove(place))
    }

    pub fn figures(&self) -> Vec<(String, Figures)> {
        self.buyers.iter().map(|buyer| (buyer.instance.clone(), buyer.supply.figures())).collect()
    }

    pub fn deliveries(&self) -> u64 {
        self.supplier.deliveries()
    }

    /// The buyers first: what they have asked for is still delivered. All are told before one is waited for.
    pub async fn stop(self) {
        for buyer in &self.buyers {
            buyer.purchasing.tell_to_stop();
        }
        for buyer in self.buyers {
            buyer.purchasing.stop().await;
        }
        self.supplier.stop().await;
    }
}
