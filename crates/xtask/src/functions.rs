//! Lengths of functions: from the line with `fn` to the closing brace at the same depth, inclusive. The layout of rustfmt
//! makes that exact without a parser. A function inside another counts as part of it.

/// Functions with more lines than `limit`, and their lengths.
pub fn longer_than(limit: usize, text: &str) -> Vec<(&str, usize)> {
    let mut long = Vec::new();
    let mut open: Option<(usize, usize, &str)> = None;
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        let depth = line.len() - code.len();
        if open.is_none() {
            open = name(code).map(|name| (number, depth, name));
        }
        let Some((begun, at, name)) = open else { continue };
        let ends = code == "}" || code.ends_with(';') || (number == begun && code.ends_with('}'));
        if depth == at && ends {
            let lines = number - begun + 1;
            if lines > limit {
                long.push((name, lines));
            }
            open = None;
        }
    }
    long
}

/// The name of the function that begins on this line, whatever precedes `fn`.
fn name(code: &str) -> Option<&str> {
    let mut rest = code;
    loop {
        if let Some(named) = rest.strip_prefix("fn ") {
            return named.split(['(', '<']).next();
        }
        rest = after_qualifier(rest)?;
    }
}

/// The rest after one of the keywords that may precede `fn`.
fn after_qualifier(code: &str) -> Option<&str> {
    let plain = ["pub ", "default ", "const ", "async ", "unsafe ", "safe ", "extern "];
    if let Some(rest) = plain.iter().find_map(|word| code.strip_prefix(word)) {
        return Some(rest);
    }
    // pub(crate), pub(super), pub(in path); the name of an ABI.
    let restricted = code.strip_prefix("pub(").and_then(|rest| rest.split_once(") "));
    let abi = || code.strip_prefix('"').and_then(|rest| rest.split_once("\" "));
    restricted.or_else(abi).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function of five lines with this signature.
    fn five(head: &str) -> String {
        format!("{head} {{\n    one();\n    two();\n    three();\n}}\n")
    }

    #[test]
    fn every_kind_of_function_is_measured() {
        for head in [
            "fn f()",
            "pub fn f()",
            "pub(crate) fn f()",
            "pub(super) fn f()",
            "pub(in crate::rows) fn f<T>(of: T)",
            "const fn f() -> usize",
            "async fn f()",
            "unsafe fn f()",
            "pub(super) const unsafe extern \"C\" fn f()",
            "default fn f()",
        ] {
            let text = five(head);
            assert_eq!(longer_than(4, &text), [("f", 5)], "{head}");
            assert!(longer_than(5, &text).is_empty(), "{head}");
        }
    }

    #[test]
    fn each_function_ends_where_its_brace_does() {
        let text = format!("fn a() {{}}\n{}impl B {{\n    fn c(&self);\n{}}}\n", five("fn d()"), indented());
        assert_eq!(longer_than(4, &text), [("d", 5), ("e", 6)]);
        assert_eq!(longer_than(5, &text), [("e", 6)]);
    }

    fn indented() -> &'static str {
        "    fn e(\n        &self,\n    ) {\n        if true {\n        }\n    }\n"
    }

    #[test]
    fn words_that_only_look_like_functions_are_none() {
        let text = "const F: fn() = g;\n// fn h() {\nlet fn_like = 1;\npub struct Fn {\n\n\n}\n";
        assert!(longer_than(0, text).is_empty());
    }
}
