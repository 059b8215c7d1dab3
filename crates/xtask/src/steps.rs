//! Chores that are lists of commands.

use crate::commands::{Outcome, output, root, run, run_with, succeeds};
use crate::doctor::{self, Needs};
use crate::tidy;

/// Opens the window from a fresh checkout.
pub fn app(release: bool, fix: bool) -> Outcome {
    doctor::check(Needs::App, fix)?;
    build_ui()?;
    // The whole workspace, so that the window and the tests are built with one set of features, and once.
    let (profile, folder): (&[&str], &str) = if release { (&["--release"], "release") } else { (&[], "debug") };
    run("cargo", &[&["build", "--workspace"], profile].concat())?;
    let program = root().join("target").join(folder).join("alidade-desktop");
    run(&program.to_string_lossy(), &[])
}

/// All checks, from set-up to the real window.
pub fn test() -> Outcome {
    doctor::check(Needs::Tests, std::env::var_os("CI").is_some())?;
    tidy::check()?;
    run("cargo", &["fmt", "--all", "--check"])?;
    build_ui()?;
    run("npm", &["--prefix", "ui", "run", "check"])?;
    run("npm", &["--prefix", "ui", "run", "lint"])?;
    run("npm", &["--prefix", "ui", "run", "test"])?;
    run("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    run("cargo", &["test", "--workspace"])?;
    browser_journeys()?;
    window_journey()
}

/// Builds `ui/dist` with the locked dependencies.
pub fn build_ui() -> Outcome {
    let ui = root().join("ui");
    let stamp = ui.join("node_modules/.package-lock.json");
    let modified = |path: &std::path::Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    if modified(&stamp) < modified(&ui.join("package-lock.json")) || !stamp.exists() {
        run("npm", &["--prefix", "ui", "ci", "--no-audit", "--no-fund"])?;
    }
    run("npm", &["--prefix", "ui", "run", "build"])
}

fn browser_journeys() -> Outcome {
    run("cargo", &["build", "--workspace"])?;
    run("npm", &["--prefix", "ui", "run", "journeys"])
}

/// Tests the real window, under a virtual display if there is none.
fn window_journey() -> Outcome {
    if !cfg!(target_os = "linux") {
        println!("The window journey runs under Linux only.");
        return Ok(());
    }
    run(
        "xvfb-run",
        &["-a", "-s", "-screen 0 1280x860x24", "dbus-run-session", "--", "node", "tests/window/journey.mjs"],
    )
}

/// Screenshots of every screen in both languages and themes.
pub fn screenshots() -> Outcome {
    doctor::check(Needs::Tests, false)?;
    build_ui()?;
    run("cargo", &["build", "--workspace"])?;
    run("npm", &["--prefix", "ui", "run", "screenshots"])
}

/// Makes the starter models again.
pub fn starter() -> Outcome {
    run("cargo", &["build", "--release", "-p", "alidade-cli"])?;
    let program = root().join("target/release/alidade");
    let weak: &[&str] = &["--weak", "--tokens", "6000000"];
    for (name, more) in [("starter", [].as_slice()), ("starter-weak", weak)] {
        let (output, work) = (format!("resources/starter/{name}"), format!("target/{name}"));
        run(&program.to_string_lossy(), &[&["starter", "--output", &output, "--work", &work], more].concat())?;
    }
    Ok(())
}

/// Times the three-minute job.
pub fn minutes() -> Outcome {
    build_ui()?;
    run("cargo", &["build", "--release", "-p", "alidade-cli"])?;
    run_with("npm", &["--prefix", "ui", "run", "bench"], &[("ALIDADE_PROGRAM", "target/release/alidade")])
}

/// Runs all presets with three seeds, in a data folder of its own.
pub fn learning() -> Outcome {
    run("cargo", &["build", "--release", "-p", "alidade-cli"])?;
    let home = root().join("target/learning").to_string_lossy().into_owned();
    let resources = root().join("resources").to_string_lossy().into_owned();
    let environment = [("ALIDADE_HOME", home.as_str()), ("ALIDADE_RESOURCES", resources.as_str())];
    run_with(&root().join("target/release/alidade").to_string_lossy(), &["learning"], &environment)
}

/// Checks everything except the window for Windows, if its target and a C compiler for it are installed.
pub fn windows() -> Outcome {
    const TARGET: &str = "x86_64-pc-windows-gnu";
    let installed = output("rustup", &["target", "list", "--installed"]).unwrap_or_default();
    if !installed.lines().any(|line| line == TARGET) || !succeeds("x86_64-w64-mingw32-gcc", &["--version"]) {
        println!(
            "Not checked for Windows: rustup target add {TARGET}, and install gcc-mingw-w64-x86-64 and g++-mingw-w64-x86-64."
        );
        return Ok(());
    }
    run("cargo", &["check", "--workspace", "--exclude", "alidade-desktop", "--target", TARGET])
}

/// Checks that need other programs.
pub fn nightly() -> Outcome {
    run("cargo", &["build", "--release", "-p", "alidade-cli"])?;
    run("python3", &["tests/nightly/peft_loads.py", "target/release/alidade"])?;
    run("python3", &["tests/nightly/templates.py", "target/release/alidade"])?;
    run("python3", &["tests/nightly/cases.py", "target/release/alidade"])?;
    // A different seed each night.
    let day = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() / 86_400);
    power_cuts(day, "mounted", "200")?;
    power_cuts(day, "recorded", "800")?;
    // A different sample each day; last, because a busy machine distorts the times.
    crate::plan::check(&["plan", "--sample", "5", "--seed", &day.to_string()].map(str::to_owned))
}

/// Without loop mounts or strace it says so.
fn power_cuts(seed: u64, how: &str, cuts: &str) -> Outcome {
    let (program, seed) = ("target/release/alidade", seed.to_string());
    run("python3", &["tests/nightly/power_cuts.py", program, "--how", how, "--cuts", cuts, "--seed", &seed])
}
