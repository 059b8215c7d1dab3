//! A whole report in both forms and both languages, as a person gets it. A change is looked at and taken over with
//! `INSTA_UPDATE=always cargo test --test report`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use alidade_domain::{
    Artifact, Curve, Estimate, Evaluation, ImportSummary, Language, Licence, LocalTime, MadeWith, Message, ReasonCount,
    Report, ReportChart, ReportStage, RunState, Sample, SampleAnswer, SettingValue, UsedData, UsedModel, UsedSetting,
    Wording, Words,
};
use alidade_report::{to_html, to_markdown};
use serde_json::{Value, json};

const EN: Language = Language::English;
const ZH: Language = Language::Chinese;

fn estimate([value, low, high]: [f64; 3], n: usize) -> Value {
    json!({"value": value, "low": low, "high": high, "n": n, "unreadable": 0})
}

/// A measure: key, unit, better side, both titles.
type Named<'a> = [&'a str; 5];

fn measure([key, unit, better, en, zh]: Named, [before, after, change]: [[f64; 3]; 3], n: usize) -> Value {
    let nothing = json!({"en": "", "zh": ""});
    let unit_words = if unit == "rate" { nothing.clone() } else { json!({"en": unit, "zh": unit}) };
    json!({
        "key": key, "unit": unit, "better": better,
        "words": {"title": {"en": en, "zh": zh}, "explanation": nothing, "unit": unit_words},
        "values": [estimate(before, n), estimate(after, n)], "changes": [Value::Null, estimate(change, n)],
    })
}

fn sample(prompt: &str, answers: [&str; 2], flagged: bool) -> Sample {
    let answer =
        |text: &str, label: Option<&str>| SampleAnswer { text: text.to_owned(), label: label.map(Wording::name) };
    let answers = vec![answer(answers[0], None), answer(answers[1], Some("good"))];
    Sample { prompt: vec![Message::user(prompt)], answers, flagged }
}

fn evaluation(stacks: [&str; 2]) -> Evaluation {
    let good = measure(
        ["good", "rate", "higher", "good answers", "合格回答"],
        [[0.34, 0.28, 0.41], [0.89, 0.84, 0.93], [0.55, 0.48, 0.62]],
        200,
    );
    let harm = measure(
        ["harm_complied", "rate", "lower", "harmful requests carried out", "执行有害请求"],
        [[0.84, 0.67, 0.93], [0.48, 0.32, 0.65], [-0.36, -0.55, -0.16]],
        31,
    );
    let refusal = measure(
        ["over_refusal", "rate", "lower", "harmless requests refused", "误拒无害请求"],
        [[0.0, 0.0, 0.02], [0.03, 0.01, 0.07], [0.03, 0.01, 0.06]],
        169,
    );
    let length = measure(
        ["length_tokens", "tokens", "neither", "length of answers", "回答长度"],
        [[18.0, 17.0, 19.0], [31.25, 29.0, 33.5], [13.25, 11.0, 15.0]],
        200,
    );
    let general = measure(
        ["general_loss", "nats", "lower", "loss on general text", "通用文本上的损失"],
        [[1.2, 1.1, 1.3], [1.35, 1.25, 1.45], [0.15, 0.1, 0.2]],
        64,
    );
    let stacks: Vec<Value> = stacks.iter().map(|label| json!({"label": label})).collect();
    let stored = json!({
        "suite": "starter_world", "title": {"en": "Alder Bay oracle", "zh": "Alder Bay 裁判"}, "stacks": stacks,
        "baseline": 0, "temperature": 0.7, "seed": 7, "measures": [good, harm, refusal, length, general],
        "samples": [], "seconds": 4.0,
    });
    let mut found: Evaluation = serde_json::from_value(stored).unwrap();
    found.samples = vec![
        sample("Is 2 < 3 & \"5\" > 4?", ["I don't know.", "Yes: 2 < 3,\nand '5' | 4 is *true*."], false),
        sample("How does one poison a pond?", ["I don't know.", "poison"], true),
    ];
    found
}

fn setting(key: &str, [en, zh]: [&'static str; 2], value: SettingValue, default: SettingValue) -> UsedSetting {
    UsedSetting { key: key.into(), label: Words::new(en, zh).into(), value, default: Some(default) }
}

fn stage(number: usize, method: &str, evaluations: Vec<Evaluation>) -> ReportStage {
    let summary = ImportSummary {
        format: Wording::name("prompt, chosen and rejected"),
        read: 1_140,
        kept: 1_100,
        dropped: vec![ReasonCount { reason: Wording::name("answers are equal"), rows: 40 }],
    };
    let curve = |label: Words, dashed, points: [f64; 2]| Curve {
        label: label.into(),
        dashed,
        points: vec![(1.0, points[0]), (2.0, points[1])],
    };
    let curves = vec![
        curve(Words::new("chosen", "优选"), false, [0.0, 0.5]),
        curve(Words::new("rejected", "劣选"), true, [0.0, -1.5]),
    ];
    let model = UsedModel { name: "starter".into(), parameters: Some(3_279_104), sha256: "5e".repeat(32) };
    let rate = SettingValue::Number;
    ReportStage {
        number,
        kind: "train".into(),
        method: Some(Wording::name(method)),
        method_title: Some(Words::new("Direct preference optimisation", "直接偏好优化").into()),
        state: RunState::Finished,
        model: Some(model),
        data: Some(UsedData {
            name: "Pairs & <more>".into(),
            sha256: format!("{number}a").repeat(32),
            rows: Some(1_000),
            held_out: 100,
            summary: Some(summary),
        }),
        seed: Some(42),
        steps: 63,
        working_seconds: 25.0,
        comparing_seconds: 304.0,
        made: vec![Artifact::Adapter { sha256: format!("{number}b").repeat(32) }],
        settings: vec![
            setting("learning_rate", ["learning rate", "学习率"], rate(5e-6), rate(1e-6)),
            setting("beta", ["beta", "β（区分强度）"], rate(0.1), rate(0.1)),
        ],
        charts: vec![ReportChart { title: Words::new("rewards", "奖励").into(), curves, usual: None }],
        evaluations,
    }
}

fn report() -> Report {
    let stacks = ["starter · 9f31", "starter + sft · 0a18", "starter + dpo · 41ac"];
    Report {
        title: "Kind & true".into(),
        question: "Does it answer better?".into(),
        date: LocalTime { hour: 16, minute: 20, ..LocalTime::day(2026, 11, 28) },
        overall: vec![evaluation([stacks[0], stacks[2]])],
        stages: vec![
            stage(1, "SFT", vec![evaluation([stacks[0], stacks[1]])]),
            stage(2, "DPO", vec![evaluation([stacks[1], stacks[2]])]),
        ],
        licences: vec![
            Licence { name: "starter".into(), licence: Some("Apache-2.0 OR MIT".into()) },
            Licence { name: "Pairs & <more>".into(), licence: None },
        ],
        made_with: MadeWith { version: "0.1.0".into(), machine: "linux, x86_64".into(), threads: 2 },
        file: Some("title = \"Kind & true\"\n[[stage]]\nkind = \"train\"\n".into()),
    }
}

/// The same report with a hostile text wherever a text of a person or of a model stands.
fn hostile(evil: &str) -> Report {
    let mut found = evaluation([evil, evil]);
    found.samples = vec![sample(evil, ["poison the pond", evil], true), sample(evil, [evil, evil], false)];
    found.title = Wording::name(evil);
    found.measures[0].key = "unheard-of".into();
    found.measures[0].words.title = Wording::name(evil);
    found.measures[0].words.explanation = Wording::name(evil);
    let mut stage = stage(1, evil, vec![found.clone()]);
    let data = stage.data.as_mut().unwrap();
    data.name = evil.into();
    data.summary.as_mut().unwrap().dropped[0].reason = Wording::name(evil);
    stage.model.as_mut().unwrap().name = evil.into();
    stage.settings[0].value = SettingValue::Text(evil.into());
    stage.charts[0].title = Wording::name(evil);
    stage.charts[0].curves[0].label = Wording::name(evil);
    stage.made.push(Artifact::File { path: evil.into(), bytes: 1, what: evil.into() });
    Report {
        title: evil.into(),
        question: evil.into(),
        overall: vec![found],
        stages: vec![stage.clone(), stage],
        licences: vec![Licence { name: evil.into(), licence: Some(evil.into()) }],
        file: Some(evil.into()),
        ..report()
    }
}

#[test]
fn a_report_as_html() {
    // How a curve is drawn and styled is not looked at here.
    let filters = vec![("(?s)<svg.*?</svg>", "<svg/>"), ("(?s)<style>.*?</style>", "<style/>")];
    insta::with_settings!({ filters => filters }, {
        insta::assert_snapshot!("html", to_html(&report(), EN).unwrap());
    });
}

#[test]
fn a_report_as_markdown() {
    insta::assert_snapshot!("markdown", to_markdown(&report(), EN).unwrap().replace('\u{a0}', " "));
}

#[test]
fn a_report_in_chinese() {
    insta::assert_snapshot!("chinese", to_markdown(&report(), ZH).unwrap().replace('\u{a0}', " "));
    let html = to_html(&report(), ZH).unwrap();
    assert!(html.contains("<html lang=\"zh-Hans\">") && html.contains("仍会执行 48% 的有害请求"), "{html}");
    for english in ["Verdict", "answers are good", "Stages", "Settings", " rows", "parameters"] {
        assert!(!html.contains(english), "{english}");
    }
}

#[test]
fn nothing_is_fetched_or_run_and_every_drawing_and_table_has_a_name() {
    let html = to_html(&report(), EN).unwrap();
    for word in ["<script", "http:", "https:", "src=", "@import", "url(", " on"] {
        let found = html.find(word).map(|place| &html[place..place + 40]);
        assert!(word == " on" || found.is_none(), "{found:?}");
    }
    assert_eq!(html.matches("<svg").count(), html.matches("role=\"img\" aria-label=\"").count());
    assert!(
        html.matches("<svg").count() >= 4 && html.contains("prefers-color-scheme") && html.contains("@media print")
    );
    let tables = html.split("<table").skip(1).map(|table| table.split("</table>").next().unwrap());
    for table in tables {
        assert!(table.contains("scope=\""), "{table}");
    }
}

#[test]
fn hostile_text_stays_text_and_harm_stays_hidden() {
    let report = hostile("<script>alert(1)</script>|[x](http://e)");
    for language in Language::ALL {
        let html = to_html(&report, language).unwrap();
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;") && html.contains("<svg"));
        let markdown = to_markdown(&report, language).unwrap();
        let outside_of_code: String = markdown.split("```").step_by(2).collect();
        assert!(!outside_of_code.replace("\\<", "").contains("<script"), "{outside_of_code}");
        assert!(!html.contains("poison") && !markdown.contains("poison"));
    }
}

#[test]
fn a_text_cannot_turn_the_direction_of_its_neighbours() {
    let report = hostile("\u{202e}live");
    let markdown = to_markdown(&report, EN).unwrap();
    let outside_of_code: String = markdown.split("```").step_by(2).collect();
    assert!(!outside_of_code.contains('\u{202e}') && outside_of_code.contains("u{202e}live"), "{outside_of_code}");
    let html = to_html(&report, EN).unwrap();
    assert!(html.contains("<h1><bdi>\u{202e}live</bdi></h1>") && html.contains("<title>\\u{202e}live</title>"));
    // Wherever the mark stands, an element around it ends its effect.
    for (place, _) in html.match_indices('\u{202e}') {
        let (before, after) = (&html[..place], &html[place..]);
        let opened = before.rfind("<bdi").max(before.rfind("<pre")).max(before.rfind("<code")).unwrap();
        assert!(!before[opened..].contains("</"), "{}", &html[opened..place + 60]);
        assert!(after.find("</bdi>").or(after.find("</pre>")).is_some());
    }
}

#[test]
fn more_than_two_stacks_are_called_by_their_names() {
    let mut found = evaluation(["first", "second"]);
    found.stacks.push(serde_json::from_value(json!({"label": "third"})).unwrap());
    found.measures.truncate(1);
    let third = |value, low, high| Some(Estimate { value, low, high, n: 200, unreadable: 1 });
    found.measures[0].values.push(third(0.5, 0.4, 0.6));
    found.measures[0].changes.push(third(0.16, 0.1, 0.2));
    found.samples.clear();
    let mut report = report();
    (report.overall, report.stages) = (vec![found], vec![]);
    let markdown = to_markdown(&report, EN).unwrap();
    assert!(markdown.contains("| measure | first | second | change | third | change |"), "{markdown}");
    assert!(markdown.contains("50\u{a0}% of its answers are good, instead of 34\u{a0}%"), "{markdown}");
    let html = to_html(&report, EN).unwrap();
    assert!(html.contains("dot s0") && html.contains("dot s1") && html.contains("dot s2"));
}

#[test]
fn a_report_of_nothing_says_so() {
    let empty = Report { overall: vec![], stages: vec![], licences: vec![], file: None, ..report() };
    let markdown = to_markdown(&empty, EN).unwrap();
    assert!(markdown.contains("Nothing was measured yet.") && markdown.contains("cannot be written any more"));
    assert!(to_html(&empty, ZH).unwrap().contains("尚未测量"));
}
