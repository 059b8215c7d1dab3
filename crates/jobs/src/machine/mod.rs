//! Memory and disk of this machine, as far as this process may use them.

pub(crate) mod cgroup;
pub mod compute;
pub mod today;

use std::path::Path;
use sysinfo::{CpuRefreshKind, Disks, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

/// Typical size of the mapped program files.
const USUAL_PROGRAM: u64 = 16 << 20;

/// Memory of the machine in bytes, or what the groups of this process allow.
pub fn total_memory_bytes() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    cgroup::allowed().map_or(system.total_memory(), |allowed| allowed.limit.min(system.total_memory()))
}

/// The processor, as it calls itself; empty where the system does not tell.
pub fn processor() -> String {
    let mut system = System::new();
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()).unwrap_or_default()
}

/// Kills a process if it is the worker of a folder: the process id may belong to another program by now. True when it was
/// killed.
pub fn end_process(pid: u32, folder: &std::path::Path) -> bool {
    let (mut system, pid) = (System::new(), sysinfo::Pid::from_u32(pid));
    let wanted = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, wanted);
    let Some(process) = system.process(pid) else { return false };
    process.cmd().iter().any(|word| std::path::Path::new(word) == folder) && process.kill()
}

/// Memory that is available to a new run, in bytes.
pub fn free_memory_bytes() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    cgroup::allowed().map_or(system.available_memory(), |allowed| allowed.free.min(system.available_memory()))
}

/// Peak memory of this process, in bytes; where the system does not report it, its current memory.
pub fn peak_memory_bytes() -> u64 {
    of_status("VmHWM:").unwrap_or_else(resident_bytes)
}

/// Current memory of this process, in bytes.
pub fn resident_bytes() -> u64 {
    of_status("VmRSS:").unwrap_or_else(|| {
        let (mut system, pid) = (System::new(), sysinfo::Pid::from_u32(std::process::id()));
        system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[pid]), true);
        system.process(pid).map_or(0, sysinfo::Process::memory)
    })
}

/// Current memory of another process, in bytes; 0 where there is none of this id.
pub fn memory_of(pid: u32) -> u64 {
    let (mut system, pid) = (System::new(), sysinfo::Pid::from_u32(pid));
    let wanted = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, wanted);
    system.process(pid).map_or(0, sysinfo::Process::memory)
}

/// The part of it that is mapped from the program's own files; a guess where the system does not report it.
pub fn program_bytes() -> u64 {
    of_status("RssFile:").unwrap_or(USUAL_PROGRAM)
}

fn of_status(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

/// How often the system has killed a program because memory ran out; 0 where it does not report that.
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

/// Free space on the disk of a folder, in bytes; 0 when unknown.
pub fn free_disk_bytes(folder: &Path) -> u64 {
    let disks = Disks::new_with_refreshed_list();
    let holding = disks.list().iter().filter(|disk| folder.starts_with(disk.mount_point()));
    holding.max_by_key(|disk| disk.mount_point().as_os_str().len()).map_or(0, |disk| disk.available_space())
}
