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

/// Most memory that this process has held so far, in bytes; where the system does not tell, what it holds now.
pub fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    if let Some(kibibytes) = kibibytes {
        return kibibytes << 10;
    }
    let (mut system, pid) = (System::new(), sysinfo::Pid::from_u32(std::process::id()));
    system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[pid]), true);
    system.process(pid).map_or(0, sysinfo::Process::memory)
}

/// How often the system has ended a program because memory ran out; 0 where it does not tell.
pub fn memory_kills() -> u64 {
    let counters = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    counters.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
}

/// Bytes of the ordinary files in a folder.
pub fn folder_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = files.filter_map(|file| std::fs::metadata(file.path()).ok().filter(std::fs::Metadata::is_file));
    sizes.map(|data| data.len()).sum()
}

/// Room on the disk that holds a folder, in bytes; 0 when it cannot be found out.
pub fn free_disk_bytes(folder: &Path) -> u64 {
    let disks = Disks::new_with_refreshed_list();
    let holding = disks.list().iter().filter(|disk| folder.starts_with(disk.mount_point()));
    holding.max_by_key(|disk| disk.mount_point().as_os_str().len()).map_or(0, |disk| disk.available_space())
}
