//! Checks what the machine lacks and installs it. Outside CI nothing is installed without asking.

use crate::commands::{Outcome, output, run, succeeds};
use std::io::{BufRead, IsTerminal, Write};

/// What the machine is needed for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Build and open the window.
    App,
    /// Run every test.
    Tests,
}

/// Debian packages, with the check for each.
const BUILD: &[(&str, Probe)] = &[
    ("build-essential", Probe::Program("cc")),
    ("pkg-config", Probe::Program("pkg-config")),
    ("libwebkit2gtk-4.1-dev", Probe::Library("webkit2gtk-4.1")),
];
const TESTS: &[(&str, Probe)] = &[
    ("webkit2gtk-driver", Probe::Program("WebKitWebDriver")),
    ("xvfb", Probe::Program("Xvfb")),
    ("xauth", Probe::Program("xauth")),
    ("dbus", Probe::Program("dbus-run-session")),
    ("chromium", Probe::Program("chromium")),
    ("fonts-noto-core", Probe::File("/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf")),
    ("fonts-noto-cjk", Probe::File("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")),
];

enum Probe {
    Program(&'static str),
    Library(&'static str),
    File(&'static str),
}

impl Probe {
    fn found(&self) -> bool {
        match self {
            Probe::Program(name) => {
                let folders = std::env::var_os("PATH").unwrap_or_default();
                std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
            }
            Probe::Library(name) => succeeds("pkg-config", &["--exists", name]),
            Probe::File(path) => std::path::Path::new(path).is_file(),
        }
    }
}

/// Checks, and installs on request.
pub fn check(needs: Needs, fix: bool) -> Outcome {
    check_node()?;
    if cfg!(target_os = "macos") && !succeeds("xcode-select", &["-p"]) {
        return Err("the command line tools of Xcode are missing: run xcode-select --install".to_owned());
    }
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let wanted = BUILD.iter().chain(if needs == Needs::Tests { TESTS } else { &[] });
    let missing: Vec<&str> = wanted.filter(|(_, probe)| !probe.found()).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        println!("All requirements are installed.");
        return Ok(());
    }
    install(&missing, fix)
}

fn check_node() -> Outcome {
    let found = output("node", &["--version"]).ok_or("Node is missing: install Node 20 or newer from nodejs.org")?;
    let major: u32 = found.trim_start_matches('v').split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
    if major >= 20 { Ok(()) } else { Err(format!("Node {found} is too old: Node 20 or newer is needed")) }
}

fn install(packages: &[&str], fix: bool) -> Outcome {
    if !Probe::Program("apt-get").found() {
        return Err(format!(
            "missing, under Debian's names: {}; install your system's packages for them",
            packages.join(" ")
        ));
    }
    let root = output("id", &["-u"]).as_deref() == Some("0");
    let command =
        format!("{}apt-get install -y --no-install-recommends {}", if root { "" } else { "sudo " }, packages.join(" "));
    println!("Missing: {}\nTo install: {command}", packages.join(" "));
    if !fix && std::env::var_os("CI").is_none() && !agrees()? {
        return Err("nothing was installed".to_owned());
    }
    let mut update = vec!["apt-get", "update", "-qq"];
    let mut arguments = vec!["apt-get", "install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    if !root {
        update.insert(0, "sudo");
        arguments.insert(0, "sudo");
    }
    run(update[0], &update[1..])?;
    run(arguments[0], &arguments[1..])
}

fn agrees() -> Result<bool, String> {
    if !std::io::stdin().is_terminal() {
        return Err("not a terminal, so nobody can be asked; add --fix".to_owned());
    }
    print!("Install now? [y/N] ");
    let flushed = std::io::stdout().flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    flushed.and(read).map_err(|error| error.to_string())?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
