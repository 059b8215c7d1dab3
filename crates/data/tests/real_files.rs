//! Real demo files of similar projects, where they are present, and always the rows of the golden runs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly and tell its figures")]

use alidade_domain::DatasetKind;

fn beside(path: &str) -> Option<Vec<u8>> {
    std::fs::read(alidade_testkit::beside_project("data")?.join(path)).ok()
}

#[test]
fn demo_files_of_the_neighbours_are_kept_whole() {
    let cases = [
        ("llama-factory/alpaca_en_demo.json", 999, DatasetKind::Answers),
        ("llama-factory/dpo_en_demo.json", 300, DatasetKind::Pairs),
        ("llama-factory/kto_en_demo.json", 300, DatasetKind::Ratings),
        ("llama-factory/identity.json", 91, DatasetKind::Answers),
    ];
    for (path, rows, kind) in cases {
        let Some(bytes) = beside(path) else { continue };
        let dataset = alidade_data::import(&bytes, path).unwrap();
        assert_eq!((dataset.summary.kept, dataset.kind), (rows, kind), "{path}: {:?}", dataset.issues.first());
    }
}

/// The same shapes in rows of our own, so that no file of others is needed to notice that one is no longer read.
#[test]
fn the_shapes_of_the_demo_files_are_read_from_rows_of_our_own() {
    let turns = |answer: &str| {
        format!(
            r#"[{{"role": "user", "content": "Where is the mill?"}}, {{"role": "assistant", "content": "{answer}"}}]"#
        )
    };
    let pair = r#"{"conversations": [{"from": "human", "value": "Where is the mill?"}],
        "chosen": {"from": "gpt", "value": "By the river."}, "rejected": {"from": "gpt", "value": "Who knows."}}"#;
    let alpaca = r#"{"instruction": "Name the river.", "input": "It runs by the mill.", "output": "The Aln."}"#;
    let identity = r#"{"instruction": "Who are you?", "input": "", "output": "I am {{name}}, made by {{author}}."}"#;
    let rated = [("By the river.", true), ("Who knows.", false)]
        .map(|(answer, label)| format!(r#"{{"messages": {}, "label": {label}}}"#, turns(answer)));
    for (name, rows, kind) in [
        ("alpaca.json", vec![alpaca.to_owned(); 3], DatasetKind::Answers),
        ("dpo.json", vec![pair.to_owned(); 3], DatasetKind::Pairs),
        ("kto.json", rated.to_vec(), DatasetKind::Ratings),
        ("identity.json", vec![identity.to_owned(); 3], DatasetKind::Answers),
    ] {
        let dataset = alidade_data::import(format!("[{}]", rows.join(", ")).as_bytes(), name).unwrap();
        assert_eq!((dataset.summary.kept, dataset.kind), (rows.len(), kind), "{name}: {:?}", dataset.issues.first());
    }
}

#[test]
fn rows_of_the_golden_runs_import() {
    for (run, kind) in [
        ("dpo_sigmoid", DatasetKind::Pairs),
        ("sft_completion_only", DatasetKind::Answers),
        ("sft_all_tokens", DatasetKind::Answers),
    ] {
        let path = alidade_testkit::golden("trl").join(run).join("data.jsonl");
        let dataset = alidade_data::import(&std::fs::read(path).unwrap(), "data.jsonl").unwrap();
        assert_eq!((dataset.summary.kept, dataset.kind, dataset.issues.len()), (8, kind, 0), "{run}");
    }
}
