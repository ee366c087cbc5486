//! The instance that something works for, so that a fault can be aimed at it.

use std::sync::Arc;

use super::Place;

/// One copy of the application. What has none is the control plane's own, and no fault of an instance strikes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(Arc<(String, String)>);

impl Home {
    /// The instance of that id, which runs that version.
    pub fn new(instance: impl Into<String>, version: impl Into<String>) -> Self {
        Self(Arc::new((instance.into(), version.into())))
    }

    pub fn instance(&self) -> &str {
        &self.0.0
    }

    pub fn version(&self) -> &str {
        &self.0.1
    }

    pub fn place(&self) -> Place<'_> {
        Place { instance: Some(self.instance()), version: Some(self.version()), ..Place::ANYWHERE }
    }
}
