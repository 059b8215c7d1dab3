//! Checks that the inputs of a run are outside of what it writes. Paths are compared after resolving links: a run never
//! overwrites its inputs, and a folder that contains them is never cleared.

use alidade_domain::{Problem, ProblemCode, Wording, Words, wording};
use std::path::{Component, Path, PathBuf};

/// An input of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What it is, for people ("the model").
    pub what: Words,
    /// The file or folder.
    pub path: PathBuf,
}

/// The real path, even if its last parts do not exist yet.
pub(crate) fn real(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Component::ParentDir)) => {
            let mut real = real(parent);
            real.pop();
            real
        }
        (Some(parent), Some(Component::Normal(name))) => real(parent).join(name),
        _ => path.to_owned(),
    }
}

/// Refuses an output folder that is an input of the run, or where the run would overwrite an input.
///
/// # Errors
/// At `output_dir`, with the names of both.
pub(crate) fn apart(output: &Path, written: &[&str], given: &[Given]) -> Result<(), Problem> {
    let folder = real(output);
    for Given { what, path } in given {
        for place in all_of(path) {
            if place == folder {
                return Err(refused(wording!(
                    "{output} is the folder of {what}.",
                    "{output} 是{what}所在的文件夹。";
                    what; output = output.display()
                )));
            }
            let name = written.iter().find(|name| place.starts_with(folder.join(name)));
            if let Some(name) = name {
                let message = wording!(
                    "{what} is where the run writes its own {name}: {path}.",
                    "{what}位于运行要写入自己的 {name} 的地方：{path}。";
                    what = capital(*what); path = path.display()
                );
                return Err(refused(message));
            }
        }
    }
    Ok(())
}

/// Refuses to clear a folder that contains an input of the run, or is inside one.
///
/// # Errors
/// At `output_dir`, with the names of both.
pub(crate) fn clearable(output: &Path, given: &[Given]) -> Result<(), Problem> {
    let folder = real(output);
    for Given { what, path } in given {
        let places = all_of(path);
        let within = places.iter().any(|place| place.starts_with(&folder));
        if within || places.iter().any(|place| folder.starts_with(place)) {
            let lies = if within { Words::new("holds", "含有") } else { Words::new("lies within", "位于") };
            let (folder, path) = (output.display(), path.display());
            let message = wording!(
                "Nothing in {folder} was removed, because it {lies} {what}: {path}.",
                "{folder} 中没有删除任何内容，因为它{lies}{what}：{path}。";
                lies, what
            );
            return Err(refused(message));
        }
    }
    Ok(())
}

/// The real path of a file or folder, and for a folder also the targets of the links in it.
fn all_of(path: &Path) -> Vec<PathBuf> {
    let mut places = vec![real(path)];
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    places.extend(entries.filter(|path| path.is_symlink()).map(|path| real(&path)));
    places
}

fn refused(message: Wording) -> Problem {
    Problem::new(ProblemCode::Conflict, message)
        .hint(wording!("Choose an output_dir that holds nothing but this run.", "请选择只存放这次运行的 output_dir。"))
        .at("output_dir")
}

fn capital(what: Words) -> Wording {
    let mut letters = what.en.chars();
    let en = letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
    Wording { en, zh: what.zh.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_where_they_lie() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(at.join("a/b")).unwrap();
        assert_eq!(real(&at.join("a/../a/./b")), at.join("a/b"));
        assert_eq!(real(&at.join("a/new/../other")), at.join("a/other"));
        assert_eq!(real(Path::new("")), std::env::current_dir().unwrap().canonicalize().unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_way_round_over_links_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        std::fs::create_dir_all(at.join("out/blobs")).unwrap();
        std::fs::create_dir(at.join("model")).unwrap();
        std::fs::write(at.join("out/blobs/weights"), "w").unwrap();
        std::os::unix::fs::symlink(at.join("out/blobs/weights"), at.join("model/model.safetensors")).unwrap();
        std::os::unix::fs::symlink(at.join("out"), at.join("link")).unwrap();
        let given = [Given { what: Words::name("the model"), path: at.join("model") }];
        assert!(clearable(&at.join("link"), &given).unwrap_err().message.en.contains("holds the model"));
        assert!(apart(&at.join("out"), &["blobs"], &given).unwrap_err().message.en.contains("its own blobs"));
        apart(&at.join("out"), &["adapter"], &given).unwrap();
        let given = [Given { what: Words::name("the adapter"), path: at.join("link") }];
        assert!(apart(&at.join("out"), &[], &given).is_err());
        assert!(clearable(&at.join("out/deeper"), &given).unwrap_err().message.en.contains("lies within"));
    }
}
