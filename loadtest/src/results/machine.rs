//! The machine, as Linux tells it.

use serde::{Deserialize, Serialize};

/// Where the generator ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// Processors that it may use.
    pub cores: u64,
    /// The processor's own name.
    pub cpu: String,
    /// System and version.
    pub kernel: String,
    /// Memory in all.
    pub memory_bytes: u64,
}

impl Machine {
    /// This machine; what cannot be found out stays empty.
    #[must_use]
    pub fn read() -> Self {
        let file = |path| std::fs::read_to_string(path).unwrap_or_default();
        let kernel = format!("Linux {}", file("/proc/sys/kernel/osrelease").trim());
        Self {
            cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
            cpu: value(&file("/proc/cpuinfo"), "model name").unwrap_or_default(),
            kernel: kernel.trim().to_owned(),
            memory_bytes: value(&file("/proc/meminfo"), "MemTotal")
                .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok())
                .map_or(0, |kib| kib * 1_024),
        }
    }
}

/// What follows `key:` in a file of lines.
fn value(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(key)?.split_once(':')).map(|(_, value)| value.trim().to_owned())
}
