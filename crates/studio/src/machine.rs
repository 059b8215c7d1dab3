//! Memory and disk of this machine.

use std::path::Path;
use sysinfo::{Disks, System};

/// Memory of the machine in bytes.
pub fn total_memory_bytes() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    system.total_memory()
}

/// Memory that a new run can have, in bytes.
pub fn free_memory_bytes() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    system.available_memory()
}

/// Room on the disk that holds a folder, in bytes; 0 when it cannot be found out.
pub fn free_disk_bytes(folder: &Path) -> u64 {
    let disks = Disks::new_with_refreshed_list();
    let holding = disks.list().iter().filter(|disk| folder.starts_with(disk.mount_point()));
    holding.max_by_key(|disk| disk.mount_point().as_os_str().len()).map_or(0, |disk| disk.available_space())
}
