//! A database that an earlier version of the program wrote opens, and everything in it can be read.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use alidade_domain::RunState;
use alidade_store::Store;

/// The file as the program left it before stages had kinds.
fn version_8(folder: &std::path::Path) -> std::path::PathBuf {
    let path = folder.join("alidade.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("fixtures/version-8.sql")).unwrap();
    path
}

#[test]
fn recipes_of_an_older_database_are_stages_that_train() {
    let folder = tempfile::tempdir().unwrap();
    let path = version_8(folder.path());
    // Twice: the second time nothing is left to be brought up to date.
    for _ in 0..2 {
        let store = Store::open(&path).unwrap();
        let experiments = store.experiments().unwrap();
        let titles: Vec<&str> = experiments.iter().map(|experiment| experiment.title.as_str()).collect();
        assert_eq!(titles, ["Draft", "Kind and true"]);
        let methods = |index: usize| {
            experiments[index].stages.iter().map(|stage| stage.method().unwrap().as_str()).collect::<Vec<_>>()
        };
        assert_eq!((methods(0), methods(1)), (vec!["sft"], vec!["sft", "dpo"]));

        let runs = store.runs_of(&experiments[1].id).unwrap();
        assert_eq!(runs.len(), 2);
        for (run, stage) in runs.iter().zip(&experiments[1].stages) {
            assert_eq!((run.state, run.step, &run.work), (RunState::Finished, 3, stage));
            let evaluation = &run.evaluations[0];
            assert_eq!(evaluation.measures[0].key, "good");
            assert_eq!(store.adapter(&run.id).unwrap().adapter.sha256, *run.adapter_sha256.as_ref().unwrap());
            assert_eq!(store.events_after(&run.id, 0).unwrap().events.len() as u64, run.last_sequence);
            assert!(store.plan(&run.id).unwrap().unwrap().contains("\"method\""));
        }
        assert!(store.unreadable().is_empty());
    }
}
