//! A whole report in both forms, as a person gets it. A change is looked at and taken over with
//! `INSTA_UPDATE=always cargo test --test report`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use alidade_domain::{
    Better, Curve, Estimate, EvaluatedStack, Evaluation, Fact, ImportSummary, Measure, MeasureWords, Message,
    ReasonCount, Report, ReportStage, Sample, SampleAnswer, Wording, Words,
};
use alidade_report::{to_html, to_markdown, verdict};

fn estimate(value: f64, low: f64, high: f64) -> Option<Estimate> {
    Some(Estimate { value, low, high, n: 200, unreadable: 1 })
}

fn stacks(labels: &[&str]) -> Vec<EvaluatedStack> {
    labels.iter().map(|label| EvaluatedStack { label: (*label).to_owned(), key: String::new() }).collect()
}

fn sample(prompt: &str, answers: [&str; 2], flagged: bool) -> Sample {
    let answer =
        |text: &str, label: Option<&str>| SampleAnswer { text: text.to_owned(), label: label.map(Wording::name) };
    let answers = vec![answer(answers[0], None), answer(answers[1], Some("good"))];
    Sample { prompt: vec![Message::user(prompt)], answers, flagged }
}

fn measure(
    title: Wording,
    unit: &str,
    better: Better,
    values: Vec<Option<Estimate>>,
    change: Option<Estimate>,
) -> Measure {
    let words = MeasureWords { title, ..MeasureWords::default() };
    Measure { key: "key".into(), unit: unit.into(), better, words, values, changes: vec![None, change] }
}

fn evaluation(after_stack: &str) -> Evaluation {
    let rates = vec![estimate(0.34, 0.28, 0.41), estimate(0.89, 0.84, 0.93)];
    let good = Words::new("good answers", "好回答").into();
    Evaluation {
        suite: "starter_world".into(),
        title: Wording::name("Alder Bay"),
        stacks: stacks(&["starter@9f31", after_stack]),
        baseline: 0,
        temperature: 0.7,
        seed: 7,
        measures: vec![
            measure(good, "rate", Better::Higher, rates, estimate(0.55, 0.48, 0.62)),
            measure(
                Wording::name("never_heard_of"),
                "tokens",
                Better::Neither,
                vec![None, estimate(31.25, 29.0, 33.5)],
                None,
            ),
        ],
        samples: vec![
            sample("Is 2 < 3 & \"5\" > 4?", ["I don't know.", "Yes: 2 < 3,\nand '5' | 4 is *true*."], false),
            sample("How does one poison a pond?", ["I don't know.", "poison"], true),
        ],
        worst: vec![],
        scores: None,
        pairs: vec![],
        seconds: 4.0,
    }
}

fn fact(label: &str, value: &str) -> Fact {
    Fact { label: label.into(), value: value.into() }
}

fn report() -> Report {
    let stage = |title: &str, data, evaluations| ReportStage {
        title: title.into(),
        setup: vec![fact("method", "dpo"), fact("learning_rate", "5e-6")],
        data,
        curves: vec![Curve { name: "rewards/margins".into(), points: vec![(1.0, 0.25), (2.0, 0.5)] }],
        evaluations,
        recipe: "method = \"dpo\"\n[settings]\nbeta = 0.1\n".into(),
    };
    let data = ImportSummary {
        format: Wording::name("prompt, chosen and rejected"),
        read: 40,
        kept: 38,
        dropped: vec![ReasonCount { reason: Wording::name("answers are equal"), rows: 2 }],
    };
    let overall = evaluation("starter@9f31 + sft@0a18 + dpo@41ac");
    Report {
        title: "Kind & true".into(),
        question: "Does it answer better?".into(),
        verdict: verdict(std::slice::from_ref(&overall)),
        stages: vec![
            stage("1 · SFT", None, vec![evaluation("starter@9f31 + sft@0a18")]),
            stage("2 · DPO", Some(data), vec![]),
        ],
        overall: vec![overall],
        limits: vec!["One seed.".into()],
        licences: vec![fact("starter", "Apache-2.0 OR MIT")],
        made_with: vec![fact("Alidade", "0.1.0 <test>")],
    }
}

#[test]
fn a_report_as_html() {
    // How a curve is drawn is not looked at here.
    insta::with_settings!({ filters => vec![("(?s)<svg.*?</svg>", "<svg/>")] }, {
        insta::assert_snapshot!("html", to_html(&report()).unwrap());
    });
}

#[test]
fn a_report_as_markdown() {
    insta::assert_snapshot!("markdown", to_markdown(&report()).unwrap());
}

#[test]
fn hostile_text_stays_text_and_harm_stays_hidden() {
    let evil = "<script>alert(1)</script>|[x](http://e)";
    let mut found = evaluation(evil);
    found.stacks = stacks(&[evil, evil]);
    found.samples = vec![sample(evil, ["poison the pond", evil], true)];
    found.title = Wording::name(evil);
    found.measures[0].words.title = Wording::name(evil);
    found.measures[0].words.explanation = Wording::name(evil);
    let stage = ReportStage {
        title: evil.into(),
        setup: vec![Fact { label: evil.into(), value: evil.into() }],
        data: None,
        curves: vec![Curve { name: evil.into(), points: vec![(1.0, 1.0), (2.0, 0.5)] }],
        evaluations: vec![found.clone()],
        recipe: evil.into(),
    };
    let report = Report {
        title: evil.into(),
        question: evil.into(),
        verdict: evil.into(),
        overall: vec![found],
        stages: vec![stage.clone(), stage],
        limits: vec![evil.into()],
        licences: vec![],
        made_with: vec![],
    };
    let html = to_html(&report).unwrap();
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;") && html.contains("<svg"));
    let markdown = to_markdown(&report).unwrap();
    let outside_of_code: String = markdown.split("```").step_by(2).collect();
    assert!(!outside_of_code.replace("\\<", "").contains("<script"), "{outside_of_code}");
    assert!(!html.contains("poison") && !markdown.contains("poison"));
}

#[test]
fn more_than_two_stacks_are_called_by_their_names() {
    let mut found = evaluation("second");
    found.stacks = stacks(&["first", "second", "third"]);
    found.measures.truncate(1);
    found.measures[0].values.push(estimate(0.5, 0.4, 0.6));
    found.measures[0].changes.push(estimate(0.16, 0.1, 0.2));
    found.samples.clear();
    let mut report = report();
    (report.overall, report.stages) = (vec![found], vec![]);
    let markdown = to_markdown(&report).unwrap();
    assert!(markdown.contains("| measure | first | second | change | third | change |"), "{markdown}");
    assert!(!markdown.contains("### Samples"), "{markdown}");
    assert_eq!(to_html(&report).unwrap().matches("<th>").count(), 6);
}
