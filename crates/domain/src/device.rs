//! What a model computes on.

use serde::{Deserialize, Serialize};
use std::fmt;
use ts_rs::TS;

/// A device, written as “cpu”, “cuda:0” or “metal:0”.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(try_from = "String", into = "String")]
#[ts(type = "string")]
pub enum Device {
    /// The CPU.
    #[default]
    Cpu,
    /// An NVIDIA GPU, by its number.
    Cuda(usize),
    /// An Apple GPU, by its number.
    Metal(usize),
}

impl fmt::Display for Device {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Device::Cpu => write!(out, "cpu"),
            Device::Cuda(number) => write!(out, "cuda:{number}"),
            Device::Metal(number) => write!(out, "metal:{number}"),
        }
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = |kind: &str| text.strip_prefix(kind)?.strip_prefix(':')?.parse().ok();
        match text.as_str() {
            "cpu" => Some(Device::Cpu),
            _ => number("cuda").map(Device::Cuda).or_else(|| number("metal").map(Device::Metal)),
        }
        .ok_or_else(|| format!("“{text}” is no device; cpu, cuda:0 and metal:0 are"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(12), Device::Metal(1)] {
            assert_eq!(Device::try_from(device.to_string()), Ok(device));
        }
        for text in ["", "gpu", "cuda", "cuda:", "cuda:x", "cuda:-1", "cpu:0"] {
            assert!(Device::try_from(text.to_owned()).unwrap_err().contains("cuda:0"), "{text}");
        }
    }
}
