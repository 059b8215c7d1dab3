//! Where a model folder keeps its chat template: a file of its own, or a field of `tokenizer_config.json`, and either may
//! hold several with names. `default` is the one that conversations are rendered with; others are for tools and documents.

use crate::ModelError;
use crate::bounded::{TEMPLATE, read_text};
use crate::error::Result;
use crate::tokenizer::read_json;
use alidade_domain::{Wording, why, wording};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

const DEFAULT: &str = "default";

/// The source of a folder's template; `None` when it has none.
///
/// # Errors
/// When a file cannot be read, or there are several templates and none is the default.
pub fn template_source(folder: &Path) -> Result<Option<String>> {
    let mut found = files(folder)?;
    if found.is_empty() {
        found = named(&read_json(&folder.join("tokenizer_config.json")));
    }
    if found.is_empty() {
        // Models that read pictures keep the template beside the settings of their processor.
        found = named(&read_json(&folder.join("chat_template.json")));
    }
    if let Some(source) = found.remove(DEFAULT) {
        return Ok(Some(source));
    }
    if found.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = found.into_keys().collect();
    let reason = wording!(
        "the model has templates named {names}, and none named “{DEFAULT}”",
        "模型有名为 {names} 的模板，但没有“{DEFAULT}”";
        names = Wording::names(&names)
    );
    Err(ModelError::Template { reason })
}

/// `chat_template.jinja` and the files in `additional_chat_templates`, by name.
fn files(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut paths = vec![(DEFAULT.to_owned(), folder.join("chat_template.jinja"))];
    for entry in std::fs::read_dir(folder.join("additional_chat_templates")).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "jinja")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            paths.push((name.to_owned(), path.clone()));
        }
    }
    let mut found = BTreeMap::new();
    for (name, path) in paths {
        match read_text(&path, TEMPLATE) {
            Ok(text) => drop(found.insert(name, text)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(ModelError::File { path, found: why(&error) }),
        }
    }
    Ok(found)
}

/// The field `chat_template`: a text, a list of names and texts, or an object of them.
fn named(config: &Value) -> BTreeMap<String, String> {
    let pair = |name: &Value, text: &Value| Some((name.as_str()?.to_owned(), text.as_str()?.to_owned()));
    match config.get("chat_template") {
        Some(Value::String(text)) => BTreeMap::from([(DEFAULT.to_owned(), text.clone())]),
        Some(Value::Array(list)) => {
            list.iter().filter_map(|entry| pair(entry.get("name")?, entry.get("template")?)).collect()
        }
        Some(Value::Object(map)) => {
            map.iter().filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect()
        }
        _ => BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(files: &[(&str, &str)]) -> Result<Option<String>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("additional_chat_templates")).unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
        template_source(folder.path())
    }

    #[test]
    fn files_come_before_the_configuration() {
        let config = json!({"chat_template": "config"}).to_string();
        let config = ("tokenizer_config.json", config.as_str());
        assert_eq!(found(&[config]).unwrap().as_deref(), Some("config"));
        assert_eq!(found(&[config, ("chat_template.jinja", "file")]).unwrap().as_deref(), Some("file"));
        let beside = ("additional_chat_templates/tool_use.jinja", "tools");
        assert_eq!(found(&[("chat_template.jinja", "file"), beside]).unwrap().as_deref(), Some("file"));
        assert_eq!(found(&[("chat_template.json", config.1)]).unwrap().as_deref(), Some("config"));
        assert_eq!(found(&[]).unwrap(), None);
    }

    #[test]
    fn of_several_the_default_is_taken_and_a_missing_default_is_told_with_the_names() {
        let list = json!({"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]});
        assert_eq!(found(&[("tokenizer_config.json", &list.to_string())]).unwrap().as_deref(), Some("d"));
        let map = json!({"chat_template": {"default": "d", "rag": "r"}});
        assert_eq!(found(&[("tokenizer_config.json", &map.to_string())]).unwrap().as_deref(), Some("d"));
        let none = json!({"chat_template": [{"name": "rag", "template": "r"}]});
        let error = found(&[("tokenizer_config.json", &none.to_string())]).unwrap_err().to_string();
        assert!(error.contains("rag") && error.contains("default"), "{error}");
        let error = found(&[("additional_chat_templates/tool_use.jinja", "tools")]).unwrap_err().to_string();
        assert!(error.contains("tool_use"), "{error}");
    }
}
