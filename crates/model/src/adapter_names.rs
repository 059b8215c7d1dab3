//! Tensor names of adapters. PEFT's names are written; variants of other versions and programs are accepted where they are
//! unambiguous: prefixes that are missing or doubled, the adapter's own name in the middle, and the
//! extra word that multimodal models put before their text model.

/// What PEFT puts before every module path.
pub(crate) const PREFIX: &str = "base_model.model.";

/// The part of an adapter that belongs to one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    A,
    B,
    /// DoRA's magnitude.
    Magnitude,
    EmbeddingA,
    EmbeddingB,
    /// The whole matrix of a module that was trained itself.
    Full,
    /// The whole matrix below a module's pairs, saved with them (PEFT does so for embeddings).
    Base,
    /// Learned keys and values; it belongs to no module.
    Prompt,
}

const ENDINGS: [(&str, Part); 5] = [
    ("lora_A", Part::A),
    ("lora_B", Part::B),
    ("lora_magnitude_vector", Part::Magnitude),
    ("lora_embedding_A", Part::EmbeddingA),
    ("lora_embedding_B", Part::EmbeddingB),
];

impl Part {
    /// PEFT's full name of this part of the module at `path`.
    pub(crate) fn name(self, path: &str) -> String {
        let ending = match self {
            Part::A => "lora_A.weight",
            Part::B => "lora_B.weight",
            Part::Magnitude => "lora_magnitude_vector",
            Part::EmbeddingA => "lora_embedding_A",
            Part::EmbeddingB => "lora_embedding_B",
            Part::Full => "weight",
            Part::Base => "base_layer.weight",
            Part::Prompt => return "prompt_embeddings".to_owned(),
        };
        format!("{PREFIX}{path}.{ending}")
    }

    /// True for a whole matrix in the place of the base's.
    pub(crate) fn replaces(self) -> bool {
        matches!(self, Part::Full | Part::Base)
    }
}

/// Splits a tensor's name into the module path and the part.
pub(crate) fn parse_name(name: &str) -> Option<(String, Part)> {
    let mut path = name;
    while let Some(rest) = path.strip_prefix(PREFIX) {
        path = rest;
    }
    if path == "prompt_embeddings" {
        return Some((String::new(), Part::Prompt));
    }
    let words: Vec<&str> = path.split('.').collect();
    let at = words.iter().position(|word| ENDINGS.iter().any(|(ending, _)| ending == word));
    if let Some(at) = at {
        let part = ENDINGS.iter().find(|(ending, _)| *ending == words[at]).map(|(_, part)| *part)?;
        // `.weight`, `.<name>.weight` after A and B; these, `.<name>` or nothing after the others, which are bare
        // parameters.
        let bare = !matches!(part, Part::A | Part::B);
        let fits = match &words[at + 1..] {
            [] => bare,
            [last] => bare || *last == "weight",
            [own, last] => *last == "weight" && !own.is_empty(),
            _ => false,
        };
        return (fits && at > 0).then(|| (plain_path(&words[..at]), part));
    }
    let (last, module) = words.split_last()?;
    if *last != "weight" || path.contains("lora_") {
        return None;
    }
    match module {
        [module @ .., "base_layer"] => Some((plain_path(module), Part::Base)),
        [module @ .., "modules_to_save"] | [module @ .., "modules_to_save", _] => {
            Some((plain_path(module), Part::Full))
        }
        module if module.contains(&"original_module") => None,
        module => Some((plain_path(module), Part::Full)),
    }
}

/// The adapter's own name in a tensor's name ("policy" in `….lora_A.policy.weight`).
pub(crate) fn own_name(name: &str) -> Option<&str> {
    let mut words = name.split('.').skip_while(|word| !ENDINGS.iter().any(|(ending, _)| ending == word)).skip(1);
    words.next().filter(|word| *word != "weight")
}

/// The path as a text model alone has it.
fn plain_path(words: &[&str]) -> String {
    let path = words.join(".");
    plain_tensor_name(&path).unwrap_or(path)
}

/// A checkpoint's name without what multimodal models put around their text model (`language_model.model.` before version
/// 5 of transformers, `model.language_model.` since), and with the `model.` that a bare decoder lacks; `None` when it is
/// plain already.
pub(crate) fn plain_tensor_name(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("model.language_model.").or(name.strip_prefix("language_model.model.")) {
        return Some(format!("model.{}", rest.strip_prefix("model.").unwrap_or(rest)));
    }
    if let Some(rest) = name.strip_prefix("language_model.") {
        return Some(rest.to_owned());
    }
    let bare = name.starts_with("layers.") || name.starts_with("embed_tokens") || name == "norm.weight";
    bare.then(|| format!("model.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_makers_mean_one_thing() {
        let path = "model.layers.0.self_attn.q_proj";
        for name in [
            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "model.layers.0.self_attn.q_proj.lora_A.default.weight",
            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.policy.weight",
            "base_model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight",
        ] {
            assert_eq!(parse_name(name), Some((path.to_owned(), Part::A)), "{name}");
        }
        let embedding = "model.embed_tokens";
        for (ending, part) in [
            ("lora_embedding_A", Part::EmbeddingA),
            ("lora_embedding_B.default", Part::EmbeddingB),
            ("base_layer.weight", Part::Base),
            ("weight", Part::Full),
            ("modules_to_save.weight", Part::Full),
            ("modules_to_save.default.weight", Part::Full),
            ("lora_magnitude_vector.default.weight", Part::Magnitude),
        ] {
            assert_eq!(parse_name(&format!("{PREFIX}{embedding}.{ending}")), Some((embedding.to_owned(), part)));
        }
        assert_eq!(own_name("x.lora_A.policy.weight"), Some("policy"));
        assert_eq!(own_name("x.lora_A.weight"), None);
    }

    #[test]
    fn what_is_no_part_of_lora_is_not_taken_for_one() {
        for name in ["x.lora_A", "x.lora_B.bias", "lora_A.weight", "x.lora_a", "x.q_proj.bias", "x.lora_A.a.b.weight"] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }

    #[test]
    fn every_part_reads_its_own_name() {
        for part in [Part::A, Part::B, Part::Magnitude, Part::EmbeddingA, Part::EmbeddingB, Part::Full, Part::Base] {
            assert_eq!(parse_name(&part.name("model.embed_tokens")), Some(("model.embed_tokens".to_owned(), part)));
        }
    }
}
