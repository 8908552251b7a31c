//! Stands in for the producer in a build without the feature `kafka`.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use super::{KafkaConfig, Statistics};
use crate::output::sink::{Failure, Sink};

/// There is none.
pub struct Kafka(Infallible);

impl Kafka {
    /// Of the library: there is none.
    pub fn version() -> Option<String> {
        None
    }

    pub fn new(_: &KafkaConfig) -> Result<Kafka, String> {
        Err("this perijove was built without Kafka (cargo build --features kafka)".into())
    }

    pub fn statistics(&self) -> Arc<Mutex<Statistics>> {
        match self.0 {}
    }
}

impl Sink for Kafka {
    fn write(&mut self, _: &[u8], _: u64, _: &dyn Fn() -> bool) -> Result<(), Failure> {
        match self.0 {}
    }

    fn check(&mut self) -> Result<String, String> {
        match self.0 {}
    }
}
