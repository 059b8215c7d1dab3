//! The memory limit of Linux control groups (containers, service managers), version 2 and version 1. Every group up to the
//! root may have a limit, and the tightest one applies, however much memory the machine has left.

use std::path::{Path, PathBuf};

/// Memory that the groups of a process allow, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// The lowest limit.
    pub limit: u64,
    /// Memory that is still available under every limit. Inactive page cache counts as available.
    pub free: u64,
}

/// Names of the files of a version.
struct Names {
    limits: &'static [&'static str],
    current: &'static str,
    inactive: &'static str,
}

const SECOND: Names =
    Names { limits: &["memory.max", "memory.high"], current: "memory.current", inactive: "inactive_file" };
const FIRST: Names =
    Names { limits: &["memory.limit_in_bytes"], current: "memory.usage_in_bytes", inactive: "total_inactive_file" };
/// Version 1 expresses “no limit” as the largest whole number of pages.
const NONE: u64 = 1 << 62;

/// The limits of this process; none where there are no groups or no limits.
pub fn allowed() -> Option<Allowed> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    of_groups(&groups, Path::new("/sys/fs/cgroup"))
}

/// Reads the kernel's list of a process's groups, relative to the folder where groups are mounted.
fn of_groups(groups: &str, mounted: &Path) -> Option<Allowed> {
    let entries = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        Some((parts.next()?, parts.next()?, parts.next()?))
    });
    let found = entries.flat_map(|(number, controllers, path)| {
        let (base, names) = match controllers {
            "" if number == "0" => (mounted.to_owned(), &SECOND),
            _ if controllers.split(',').any(|controller| controller == "memory") => (mounted.join("memory"), &FIRST),
            _ => return Vec::new(),
        };
        folders(&base, path).iter().filter_map(|folder| of_folder(folder, names)).collect()
    });
    found.reduce(|a, b| Allowed { limit: a.limit.min(b.limit), free: a.free.min(b.free) })
}

/// The folder of a group and its parents. In a container the path may be that of the host and not exist; the mounted folder
/// is then the container's own group.
fn folders(base: &Path, path: &str) -> Vec<PathBuf> {
    let own = base.join(path.trim_start_matches('/'));
    let up = own.ancestors().take_while(|folder| folder.starts_with(base));
    up.filter(|folder| folder.is_dir()).map(Path::to_owned).collect()
}

fn of_folder(folder: &Path, names: &Names) -> Option<Allowed> {
    let number = |name: &str| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let limit = names.limits.iter().filter_map(|name| number(name)).filter(|limit| *limit < NONE).min()?;
    let statistics = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let inactive = statistics.lines().find_map(|line| line.strip_prefix(names.inactive)?.trim().parse().ok());
    let taken = number(names.current).unwrap_or(0).saturating_sub(inactive.unwrap_or(0));
    Some(Allowed { limit, free: limit.saturating_sub(taken) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(folder: &Path, files: &[(&str, &str)]) {
        std::fs::create_dir_all(folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    #[test]
    fn the_tightest_group_on_the_way_up_counts() {
        let mounted = tempfile::tempdir().unwrap();
        let root = mounted.path();
        let outer =
            [("memory.max", "1000\n"), ("memory.current", "900\n"), ("memory.stat", "anon 1\ninactive_file 300\n")];
        group(&root.join("a"), &outer);
        group(&root.join("a/b"), &[("memory.max", "max\n"), ("memory.high", "700\n"), ("memory.current", "200\n")]);
        group(&root.join("a/b/c"), &[("memory.max", "max\n"), ("memory.high", "max\n")]);
        assert_eq!(of_groups("0::/a/b/c\n", root), Some(Allowed { limit: 700, free: 400 }));
        assert_eq!(of_groups("0::/a/b\n", root), Some(Allowed { limit: 700, free: 400 }));
        assert_eq!(of_groups("0::/elsewhere\n", root), None);
    }

    #[test]
    fn a_container_that_sees_the_path_of_its_host_reads_its_own_group() {
        let mounted = tempfile::tempdir().unwrap();
        group(mounted.path(), &[("memory.max", "150000000"), ("memory.current", "50000000")]);
        let groups = "0::/system.slice/docker-1234.scope\n";
        assert_eq!(of_groups(groups, mounted.path()), Some(Allowed { limit: 150_000_000, free: 100_000_000 }));
    }

    #[test]
    fn the_first_version_is_read_too() {
        let mounted = tempfile::tempdir().unwrap();
        let memory = mounted.path().join("memory");
        let stat = "inactive_file 1\ntotal_inactive_file 100\n";
        let files = [("memory.limit_in_bytes", "2000"), ("memory.usage_in_bytes", "600"), ("memory.stat", stat)];
        group(&memory.join("docker/x"), &files);
        group(&memory, &[("memory.limit_in_bytes", "9223372036854771712"), ("memory.usage_in_bytes", "5")]);
        let groups = "12:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/\n";
        assert_eq!(of_groups(groups, mounted.path()), Some(Allowed { limit: 2000, free: 1500 }));
    }
}
