//! Compares renderings with those of Jinja2: `jinja2.json` lists templates with their texts as Jinja2 3.1 renders
//! them in the environment that transformers sets up; `tests/nightly/templates.py` renders the list again.

use super::*;

#[test]
fn features_of_jinja2_come_out_as_python_writes_them() {
    let cases: Vec<(String, String)> = serde_json::from_str(include_str!("jinja2.json")).unwrap();
    let said = [Message::user("<é> it's"), Message::assistant("Hello there")];
    let mut wrong = Vec::new();
    for (source, expected) in cases {
        let found = ChatTemplate::new(&source, &BTreeMap::new(), Vec::new(), LocalTime::day(2026, 11, 28))
            .and_then(|made| made.render(&said, Rendering::Whole));
        match found {
            Ok(found) if found == expected => {}
            Ok(found) => wrong.push(format!("{source}\n  jinja2 {expected:?}\n  here   {found:?}")),
            Err(error) => wrong.push(format!("{source}\n  jinja2 {expected:?}\n  here   {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
