//! A dialog for a data folder that cannot be opened, because whoever starts the window by a double click sees no terminal.
//! If an intact backup can replace the database, the dialog offers it and the window opens again. `studio` does the
//! restoring.

use alidade_domain::{Problem, wording};
use alidade_studio::{list_backups, preferred_language, restore_backup};
use std::path::{Path, PathBuf};
use tauri::AppHandle;
use tauri_plugin_dialog::{DialogExt, MessageDialogButtons, MessageDialogKind};

/// Shows the problem until the person closes it; the program ends then.
///
/// # Errors
/// When not even a dialog can be shown.
pub(crate) fn tell(problem: &Problem, home: Option<PathBuf>) -> tauri::Result<()> {
    let mut context = tauri::generate_context!();
    // The main window needs an open data folder.
    context.config_mut().app.windows.clear();
    let text = words(problem);
    let offer = home.and_then(|home| offered(problem, &home).map(|backup| (home, backup)));
    tauri::Builder::default()
        .plugin(tauri_plugin_dialog::init())
        .setup(move |app| {
            show(app.handle().clone(), &text, offer);
            Ok(())
        })
        .run(context)
}

/// The newest intact backup, if a backup solves the problem.
fn offered(problem: &Problem, home: &Path) -> Option<String> {
    let mends = problem.hints.iter().any(|hint| hint.en.contains("alidade restore"));
    let sound = |home| list_backups(home).into_iter().find(|backup| backup.sound);
    mends.then(|| sound(home)).flatten().map(|backup| backup.name)
}

fn show(app: AppHandle, text: &str, offer: Option<(PathBuf, String)>) {
    let dialog = app.dialog().message(text).title("Alidade").kind(MessageDialogKind::Error);
    let Some((home, backup)) = offer else {
        return dialog.show(move |_| app.exit(1));
    };
    let day = backup.trim_end_matches(".db");
    let language = preferred_language();
    let restore = wording!("Restore the backup {day}", "恢复备份 {day}");
    let close = wording!("Close", "关闭");
    let buttons =
        MessageDialogButtons::OkCancelCustom(restore.spoken(language).to_owned(), close.spoken(language).to_owned());
    dialog.buttons(buttons).show(move |agreed| {
        if !agreed {
            return app.exit(1);
        }
        match restore_backup(&home, Some(&backup)) {
            Ok(_) => app.restart(),
            Err(problem) => show(app, &words(&problem), None),
        }
    });
}

/// Message and hints, one below the other.
fn words(problem: &Problem) -> String {
    let language = preferred_language();
    let lines = [&problem.message].into_iter().chain(&problem.hints);
    lines.map(|line| line.spoken(language)).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_offered_only_where_it_mends_something_and_is_sound() {
        let home = tempfile::tempdir().unwrap();
        let damaged = Problem::internal(wording!("damaged", "已损坏"))
            .hint(wording!("Run `alidade restore`.", "运行 `alidade restore`。"));
        assert_eq!(offered(&damaged, home.path()), None);
        std::fs::create_dir(home.path().join("backups")).unwrap();
        std::fs::write(home.path().join("backups/2026-01-01.db"), "no database").unwrap();
        assert_eq!(offered(&damaged, home.path()), None);
        assert_eq!(words(&damaged), "damaged\n\nRun `alidade restore`.");
    }
}
