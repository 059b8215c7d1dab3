//! `alidade worker`: started by the queue for a run, and by the program to read untrusted files; not for people.

use alidade_domain::{Problem, wording};
use std::path::PathBuf;

/// Arguments of `worker`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The run folder with its plan.
    #[arg(long, conflicts_with = "task", required_unless_present = "task")]
    run: Option<PathBuf>,
    /// A task; its request arrives on standard input.
    #[arg(long)]
    task: Option<String>,
}

impl Arguments {
    /// True for a child that reads untrusted files for another process of the program.
    pub fn is_task(&self) -> bool {
        self.task.is_some()
    }
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    match (&arguments.task, &arguments.run) {
        (Some(task), _) => alidade_studio::confined::attend(task),
        (None, Some(folder)) => alidade_studio::work(folder),
        (None, None) => {
            Err(Problem::input(wording!("A worker needs a run folder or a task.", "工作进程需要运行的文件夹或任务。")))
        }
    }
}
