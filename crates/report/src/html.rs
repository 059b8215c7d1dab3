//! The report as one HTML file that needs nothing else: no script, no font, no picture from anywhere.

use crate::chart::svg;
use crate::words::{answer_titles, columns, sample_texts, stacks};
use alidade_domain::{Evaluation, Fact, Problem, Report, ReportStage};
use std::fmt::Write as _;

const STYLE: &str = "body{font:14px/1.55 system-ui,'Noto Sans','Noto Sans SC',sans-serif;color:#1D1C1A;background:#FBFAF8;\
margin:0 auto;padding:32px 24px 64px;max-width:960px}h1{font-size:24px;margin:0 0 4px}h2{font-size:16px;margin:40px 0 8px;\
border-top:1px solid #E4E1DB;padding-top:16px}h3{font-size:14px;margin:20px 0 6px}p{margin:4px 0 12px}.quiet{color:#6B675F}\
.verdict{font-size:17px;font-weight:600;margin:16px 0}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
td,th{text-align:left;vertical-align:top;padding:5px 12px 5px 0;border-bottom:1px solid #E4E1DB}th{font-weight:600;color:#6B675F}\
td:first-child{overflow-wrap:anywhere}.base{color:#64748B}.aligned{color:#0F766E}pre{background:#fff;border:1px solid #E4E1DB;\
padding:12px;overflow:auto;font-size:12px}.curves{display:flex;flex-wrap:wrap;gap:16px}figure{margin:0}figcaption{font-size:12px;color:#6B675F}\
svg{max-width:100%;height:auto}@media print{body{padding:0}}";

/// Writes the report.
///
/// # Errors
/// When a curve cannot be drawn.
pub fn to_html(report: &Report) -> Result<String, Problem> {
    let mut text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{0}</title><style>{STYLE}</style></head><body><h1>{0}</h1><p class=\"quiet\">{1}</p><p class=\"verdict\">{2}</p>",
        escape(&report.title),
        escape(&report.question),
        escape(&report.verdict)
    );
    if !report.overall.is_empty() {
        text.push_str("<h2>Before and after</h2>");
    }
    for found in &report.overall {
        figures(&mut text, found);
        samples(&mut text, found);
    }
    for stage in &report.stages {
        write_stage(&mut text, stage, report.stages.len() > 1)?;
    }
    text.push_str("<h2>Limits</h2><ul>");
    report.limits.iter().for_each(|limit| text.push_str(&format!("<li>{}</li>", escape(limit))));
    text.push_str("</ul>");
    for (title, facts) in [("Licences", &report.licences), ("Made with", &report.made_with)] {
        let _ = write!(text, "<h2>{title}</h2>");
        table(&mut text, facts);
    }
    text.push_str("</body></html>\n");
    Ok(text)
}

fn write_stage(text: &mut String, stage: &ReportStage, own_figures: bool) -> Result<(), Problem> {
    let _ = write!(text, "<h2>{}</h2>", escape(&stage.title));
    if !stage.curves.is_empty() {
        text.push_str("<div class=\"curves\">");
        for curve in &stage.curves {
            let _ = write!(text, "<figure>{}<figcaption>{}</figcaption></figure>", svg(curve)?, escape(&curve.name));
        }
        text.push_str("</div>");
    }
    if own_figures && !stage.evaluations.is_empty() {
        text.push_str("<h3>Before and after this stage</h3>");
        stage.evaluations.iter().for_each(|found| figures(text, found));
    }
    if let Some(data) = &stage.data {
        let _ =
            write!(text, "<h3>Data</h3><p>{} of {} rows kept ({}).</p>", data.kept, data.read, escape(&data.format));
        for reason in &data.dropped {
            let _ = write!(text, "<p>{} rows dropped: {}</p>", reason.rows, escape(&reason.reason));
        }
    }
    text.push_str("<h3>Set-up</h3>");
    table(text, &stage.setup);
    let _ = write!(text, "<h3>Recipe</h3><pre>{}</pre>", escape(&stage.recipe));
    Ok(())
}

fn figures(text: &mut String, found: &Evaluation) {
    let place = |stack: usize| if stack == found.baseline && found.stacks.len() > 1 { "base" } else { "aligned" };
    let stack = |(number, label): (usize, &str)| format!("<span class=\"{}\">{}</span>", place(number), escape(label));
    let names: Vec<String> = stacks(found).into_iter().enumerate().map(stack).collect();
    let _ = write!(
        text,
        "<p class=\"quiet\">{} · {} · temperature {} · seed {}</p><table><tr><th>measure</th>",
        names.join(" → "),
        escape(&found.title.en),
        found.temperature,
        found.seed
    );
    let columns = columns(found);
    columns.iter().for_each(|column| text.push_str(&format!("<th>{}</th>", escape(&column.title))));
    text.push_str("</tr>");
    for measure in &found.measures {
        let _ = write!(
            text,
            "<tr><td title=\"{}\">{}</td>",
            escape(&measure.words.explanation.en),
            escape(&measure.words.title.en)
        );
        for column in &columns {
            let _ = write!(text, "<td class=\"{}\">{}</td>", place(column.stack), escape(&column.cell(measure)));
        }
        text.push_str("</tr>");
    }
    text.push_str("</table>");
}

fn samples(text: &mut String, found: &Evaluation) {
    if found.samples.is_empty() {
        return;
    }
    text.push_str("<h3>Samples</h3><table><tr><th>prompt</th>");
    answer_titles(found).iter().for_each(|title| text.push_str(&format!("<th>{}</th>", escape(title))));
    text.push_str("</tr>");
    for sample in &found.samples {
        let (prompt, answers) = sample_texts(sample);
        let _ = write!(text, "<tr><td>{}</td>", escape(&prompt));
        for (stack, answer) in answers.iter().enumerate() {
            let class = if stack == found.baseline { "base" } else { "aligned" };
            let _ = write!(text, "<td class=\"{class}\">{}</td>", escape(answer));
        }
        text.push_str("</tr>");
    }
    text.push_str("</table>");
}

fn table(text: &mut String, facts: &[Fact]) {
    text.push_str("<table>");
    for fact in facts {
        let _ =
            write!(text, "<tr><td class=\"quiet\">{}</td><td>{}</td></tr>", escape(&fact.label), escape(&fact.value));
    }
    text.push_str("</table>");
}

/// Text that stays text.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_markdown;
    use crate::words::tests::evaluation;
    use alidade_domain::{Better, Curve, Message, Sample, SampleAnswer, Wording};

    #[test]
    fn hostile_text_stays_text_and_harm_stays_hidden() {
        let evil = "<script>alert(1)</script>|[x](http://e)";
        let answer = |text: &str| SampleAnswer { text: text.to_owned(), label: None };
        let answers = vec![answer("poison the pond"), answer(evil)];
        let mut found = evaluation(&[evil, evil], (0.1, 0.0, 0.2), Better::Higher);
        found.samples = vec![Sample { prompt: vec![Message::user(evil)], answers, flagged: true }];
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
        let markdown = to_markdown(&report);
        let tables = markdown.split("```").step_by(2).collect::<String>();
        assert!(!tables.replace("\\<", "").contains("<script"), "{tables}");
        assert!(!html.contains("poison") && !markdown.contains("poison"));
    }

    #[test]
    fn a_measure_that_nobody_knows_stands_under_its_own_name() {
        let mut found = evaluation(&["a", "b", "c"], (0.1, 0.0, 0.2), Better::Higher);
        found.measures[0].words.title = Wording::name("never_heard_of");
        let mut text = String::new();
        figures(&mut text, &found);
        assert!(text.contains("never_heard_of") && text.matches("<th>").count() == 6, "{text}");
    }
}
