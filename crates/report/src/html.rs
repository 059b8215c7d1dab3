//! The report as one HTML file that needs nothing else: no script, no font, no picture from anywhere.

use crate::chart::svg;
use crate::words::{change, figure, name, sample_texts};
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
    if let Some(overall) = &report.overall {
        text.push_str("<h2>Before and after</h2>");
        figures(&mut text, overall);
        samples(&mut text, overall);
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
    if let Some(found) = stage.evaluation.as_ref().filter(|_| own_figures) {
        text.push_str("<h3>Before and after this stage</h3>");
        figures(text, found);
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
    let _ = write!(
        text,
        "<p class=\"quiet\"><span class=\"base\">{}</span> → <span class=\"aligned\">{}</span> · {} · temperature {} · seed {}</p>\
         <table><tr><th>measure</th><th>before</th><th>after</th><th>change</th></tr>",
        escape(&found.before_stack),
        escape(&found.after_stack),
        escape(&found.suite),
        found.temperature,
        found.seed
    );
    for measure in &found.measures {
        let side = |estimate| figure(&measure.unit, estimate);
        let _ = write!(
            text,
            "<tr><td>{}</td><td class=\"base\">{}</td><td class=\"aligned\">{}</td><td>{}</td></tr>",
            escape(name(&measure.key)),
            escape(&side(measure.before.as_ref())),
            escape(&side(measure.after.as_ref())),
            escape(&change(measure))
        );
    }
    text.push_str("</table>");
}

fn samples(text: &mut String, found: &Evaluation) {
    if found.samples.is_empty() {
        return;
    }
    text.push_str("<h3>Samples</h3><table><tr><th>prompt</th><th>before</th><th>after</th></tr>");
    for sample in &found.samples {
        let [prompt, before, after] = sample_texts(sample).map(|part| escape(&part));
        let _ = write!(
            text,
            "<tr><td>{prompt}</td><td class=\"base\">{before}</td><td class=\"aligned\">{after}</td></tr>"
        );
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
    use alidade_domain::{Curve, Message, SamplePair};

    #[test]
    fn hostile_text_stays_text_and_harm_stays_hidden() {
        let evil = "<script>alert(1)</script>|[x](http://e)";
        let sample = |flagged| SamplePair {
            prompt: vec![Message::user(evil)],
            before: "poison the pond".into(),
            after: evil.into(),
            before_label: None,
            after_label: None,
            flagged,
        };
        let evaluation = Evaluation {
            suite: evil.into(),
            before_stack: evil.into(),
            after_stack: evil.into(),
            temperature: 0.7,
            seed: 1,
            measures: vec![],
            samples: vec![sample(true)],
            worst: vec![],
            scores: None,
            seconds: 0.0,
        };
        let stage = ReportStage {
            title: evil.into(),
            setup: vec![Fact { label: evil.into(), value: evil.into() }],
            data: None,
            curves: vec![Curve { name: evil.into(), points: vec![(1.0, 1.0), (2.0, 0.5)] }],
            evaluation: Some(evaluation.clone()),
            recipe: evil.into(),
        };
        let report = Report {
            title: evil.into(),
            question: evil.into(),
            verdict: evil.into(),
            overall: Some(evaluation),
            stages: vec![stage],
            limits: vec![evil.into()],
            licences: vec![],
            made_with: vec![],
        };
        let html = to_html(&report).unwrap();
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;") && html.contains("<svg"));
        let markdown = to_markdown(&report);
        assert!(!markdown.replace("\\<", "").contains("# <script"));
        assert!(!html.contains("poison") && !markdown.contains("poison"));
    }
}
