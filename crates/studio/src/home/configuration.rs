//! Paths on this machine. The only place that reads them from the environment.

use alidade_domain::{Problem, why, wording};
use alidade_jobs::files::durable::create_folder;
use std::path::{Path, PathBuf};

/// Folders and the executable, as the host found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The data folder.
    pub home: PathBuf,
    /// The bundled resources.
    pub resources: PathBuf,
    /// The executable that is started as a worker.
    pub program: PathBuf,
    /// Threads that runs compute with.
    pub threads: usize,
}

impl Configuration {
    /// `ALIDADE_HOME` or the platform's data folder; `ALIDADE_RESOURCES` or the folder beside the program.
    ///
    /// # Errors
    /// When no folder can be found or created, or when an instruction set is forced that this processor lacks.
    pub fn of_environment() -> Result<Self, Problem> {
        crate::instructions()?;
        alidade_jobs::machine::compute::device()?;
        let program = std::env::current_exe().map_err(|error| {
            Problem::internal(wording!(
                "Finding the program's own file failed: {why}.",
                "查找程序自身的文件失败：{why}。";
                why = why(&error)
            ))
        })?;
        let home = variable("ALIDADE_HOME").map(PathBuf::from).or_else(data_folder).ok_or_else(|| {
            Problem::input(wording!("There is no folder for your data.", "没有存放数据的文件夹。"))
                .hint(wording!("Set ALIDADE_HOME to a folder that you own.", "请把 ALIDADE_HOME 设为您自己的文件夹。"))
        })?;
        create_folder(&home).map_err(|problem| {
            Problem::input(problem.message)
                .hint(wording!("Set ALIDADE_HOME to a folder that you own.", "请把 ALIDADE_HOME 设为您自己的文件夹。"))
        })?;
        let home = home.canonicalize().unwrap_or(home);
        let resources = variable("ALIDADE_RESOURCES").map(PathBuf::from).unwrap_or_else(|| resources_of(&program));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { home, resources, program, threads })
    }
}

fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// `$XDG_DATA_HOME` or `~/.local/share`, `~/Library/Application Support`, or the roaming folder of Windows.
fn data_folder() -> Option<PathBuf> {
    dirs::data_dir().map(|base| base.join("alidade"))
}

/// The folder beside the program if it was unpacked, below `lib` or `Resources` if it was installed, above `target` in a
/// checkout.
fn resources_of(program: &Path) -> PathBuf {
    let folder = program.parent().unwrap_or(Path::new("."));
    let places = [
        "resources",
        "../lib/Alidade/resources",
        "../lib/alidade/resources",
        "../Resources/resources",
        "../../resources",
        "../../../resources",
    ];
    let found = places.iter().map(|place| folder.join(place)).find(|place| place.join("starter").is_dir());
    found.unwrap_or_else(|| PathBuf::from("resources"))
}
