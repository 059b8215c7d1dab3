//! Which layers an adapter is put on, by PEFT's rules: a list means equal to a name, or ending with `.name`; a text is a
//! regular expression for the whole path; `all-linear` is every linear layer except the LM head.

use crate::adapter::{EMBEDDING, refused};
use crate::error::Result;
use crate::python_pattern::{Pattern, idle};
use crate::{DecoderSpec, Linear};
use alidade_domain::{LoraSpec, TargetModules, Wording, Words, wording};

/// Every path that an adapter can be put on.
pub(crate) fn every_path(spec: &DecoderSpec) -> Vec<String> {
    let linears = spec.linears();
    let inner =
        (0..spec.layers).flat_map(|layer| linears.iter().map(move |l| format!("model.layers.{layer}.{}", l.path)));
    inner.chain(["lm_head".to_owned(), EMBEDDING.to_owned()]).collect()
}

/// Full paths of the modules that are meant. A pattern of ranks or scales that matches none of them is refused.
pub(crate) fn targets(spec: &DecoderSpec, lora: &LoraSpec) -> Result<Vec<String>> {
    let (linears, every) = (spec.linears(), every_path(spec));
    let excluded = match &lora.exclude_modules {
        Some(TargetModules::Names(names)) if names.is_empty() => Vec::new(),
        Some(modules) => meant(modules, &every, &linears)?,
        None => Vec::new(),
    };
    let mut chosen = meant(&lora.target_modules, &every, &linears)?;
    chosen.retain(|path| !excluded.contains(path) && in_layers(path, &lora.layers_to_transform));
    if spec.tied && chosen.iter().any(|path| path == "lm_head") {
        return refused(Words::new(
            "lm_head shares its weights with the embedding in this model",
            "在这个模型中，lm_head 与嵌入共用权重",
        ));
    }
    if lora.use_dora && chosen.iter().any(|path| path == EMBEDDING) {
        return refused(Words::new(
            "DoRA on the embedding is not carried out; leave embed_tokens out, or switch use_dora off",
            "不支持在嵌入上使用 DoRA；请去掉 embed_tokens，或关闭 use_dora",
        ));
    }
    if chosen.is_empty() {
        return refused(Words::new(
            "target_modules, exclude_modules and layers_to_transform leave no layer",
            "target_modules、exclude_modules 和 layers_to_transform 没有留下任何层",
        ));
    }
    for (key, unused) in [
        ("rank_pattern", idle(lora.rank_pattern.iter().map(|(pattern, _)| pattern), &chosen)?),
        ("alpha_pattern", idle(lora.alpha_pattern.iter().map(|(pattern, _)| pattern), &chosen)?),
    ] {
        if let Some(pattern) = unused.first() {
            return refused(wording!(
                "{key} holds “{pattern}”, which matches none of the adapted layers; it must match the end of a path from a dot on, such as “{such}”",
                "{key} 中有“{pattern}”，它与接入适配器的任何层都不匹配；它必须匹配路径从某个点开始的结尾，例如“{such}”",
                such = chosen.first().map_or("", |path| path.rsplit('.').next().unwrap_or(path))
            ));
        }
    }
    Ok(chosen)
}

fn in_layers(path: &str, layers: &[usize]) -> bool {
    let number = path.strip_prefix("model.layers.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
    layers.is_empty() || number.is_some_and(|number| layers.contains(&number))
}

fn meant(modules: &TargetModules, every: &[String], linears: &[Linear]) -> Result<Vec<String>> {
    let names = match modules {
        TargetModules::Pattern(text) if text != "all-linear" => {
            let pattern = Pattern::whole(text)?;
            let hits = every.iter().map(|path| Ok(pattern.matches(path)?.then(|| path.clone())));
            return Ok(hits.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect());
        }
        TargetModules::Pattern(text) => vec![text.clone()],
        TargetModules::Names(names) => names.clone(),
    };
    if names.iter().any(|name| name == "all-linear") {
        return Ok(every.iter().filter(|path| path.starts_with("model.layers.")).cloned().collect());
    }
    if let Some(name) = names.iter().find(|name| !every.iter().any(|path| named(path, name))) {
        let known = Wording::names(linears.iter().filter_map(|linear| linear.path.rsplit('.').next()));
        return refused(wording!(
            "no linear layer is called “{name}”; known: all-linear, {known}",
            "没有名为“{name}”的线性层；可用：all-linear、{known}";
            known
        ));
    }
    Ok(every.iter().filter(|path| names.iter().any(|name| named(path, name))).cloned().collect())
}

fn named(path: &str, name: &str) -> bool {
    path == name || path.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

/// How the chosen layers are written down: by their last names where these and `layers_to_transform` mean the same layers
/// to any reader, else by their paths. Gives the names, and the layers that must be written beside them.
pub(crate) fn written(spec: &DecoderSpec, lora: &LoraSpec, chosen: &[String]) -> (Vec<String>, Vec<usize>) {
    let mut last: Vec<String> = chosen.iter().filter_map(|path| path.rsplit('.').next()).map(str::to_owned).collect();
    last.sort_unstable();
    last.dedup();
    let layers = &lora.layers_to_transform;
    let read = |path: &String| in_layers(path, layers) && last.iter().any(|name| named(path, name));
    if every_path(spec).into_iter().filter(read).eq(chosen.iter().cloned()) {
        (last, layers.clone())
    } else {
        (chosen.to_vec(), Vec::new())
    }
}
