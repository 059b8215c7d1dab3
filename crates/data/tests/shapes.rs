//! Every supported record shape, in the common spellings, and the messages for unsupported ones.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use alidade_data::import;
use alidade_domain::{Dataset, DatasetKind, Example, Message, Role, Wording};

fn read(text: &str) -> Dataset {
    import(text.as_bytes(), "rows.jsonl").unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    let problem = alidade_domain::Problem::from(import(text.as_bytes(), "rows.jsonl").unwrap_err());
    format!("{} {}", problem.message.en, Wording::sentences(&problem.hints).en)
}

fn remarks(dataset: &Dataset) -> String {
    Wording::sentences(&dataset.remarks).en
}

#[test]
fn every_shape_is_recognised() {
    use DatasetKind::{Answers, Pairs, Prompts, Ratings, Texts};
    let cases = [
        (r#"{"instruction":"a","input":"b","output":"c"}"#, "Alpaca", Answers),
        (r#"{"instruction":"a","output":"c","history":[["q","r"]],"system":"s"}"#, "Alpaca", Answers),
        (r#"{"instruction":"a","chosen":"b","rejected":"c"}"#, "Alpaca pairs", Pairs),
        (r#"{"instruction":"a","input":"","output":"b","kto_tag":false}"#, "rated answers", Ratings),
        (r#"{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}"#, "ShareGPT", Answers),
        (
            r#"{"conversations":[{"from":"human","value":"a"}],"chosen":{"from":"gpt","value":"b"},"rejected":{"from":"gpt","value":"c"}}"#,
            "ShareGPT pairs",
            Pairs,
        ),
        (
            r#"{"messages":[{"role":"user","content":"a"}],"chosen_messages":[{"role":"assistant","content":"b"}],"rejected_messages":[{"role":"assistant","content":"c"}]}"#,
            "ShareGPT pairs",
            Pairs,
        ),
        (
            r#"{"chosen_messages":[{"role":"user","content":[{"type":"text","value":"a"}],"loss_weight":0.0},{"role":"assistant","content":[{"type":"text","value":"b"}]}],"rejected_messages":[{"role":"user","content":[{"type":"text","value":"a"}]},{"role":"assistant","content":[{"type":"text","value":"c"}]}]}"#,
            "preference pairs",
            Pairs,
        ),
        (r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#, "messages", Answers),
        (
            r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"label":true}"#,
            "rated answers",
            Ratings,
        ),
        (
            r#"{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}],"kto_tag":"false"}"#,
            "rated answers",
            Ratings,
        ),
        (r#"{"prompt":"a","completion":"b"}"#, "prompt and completion", Answers),
        (r#"{"prompt":[{"role":"user","content":"a"}],"completion":"b"}"#, "prompt and completion", Answers),
        (r#"{"prompt":"a","completion":"b","label":false}"#, "rated answers", Ratings),
        (r#"{"prompt":"a","chosen":"b","rejected":"c"}"#, "preference pairs", Pairs),
        (r#"{"prompt":"a","chosen":"b","rejected":"c","completion":null,"label":null}"#, "preference pairs", Pairs),
        (r#"{"text":"a"}"#, "text", Texts),
        (r#"{"text":"a","label":3}"#, "text", Texts),
        (r#"{"prompt":"a"}"#, "prompts", Prompts),
        (r#"{"instruction":"a","input":"b"}"#, "prompts", Prompts),
        (r#"{"prompt":"a","label":"unsafe","type":"x"}"#, "prompts", Prompts),
        (
            r#"{"prompt":"a","completion":"b","system":null,"score":NaN,"least":-Infinity}"#,
            "prompt and completion",
            Answers,
        ),
    ];
    for (line, format, kind) in cases {
        let dataset = read(line);
        assert_eq!((dataset.summary.format.en.as_str(), dataset.kind), (format, kind), "{line}");
    }
}

#[test]
fn a_system_line_stands_before_the_prompt_of_every_shape() {
    let asked = |messages: &[Message]| {
        assert_eq!(messages[0], Message::system("S"), "{messages:?}");
        assert_eq!(messages[1], Message::user("q"));
    };
    let pairs = [
        r#"{"system":"S","prompt":"q","chosen":"a","rejected":"b"}"#,
        r#"{"system":"S","prompt":[{"role":"user","content":"q"}],"chosen":[{"role":"assistant","content":"a"}],"rejected":"b"}"#,
        r#"{"system":"S","question":"q","chosen":"a","rejected":"b"}"#,
        r#"{"system":"S","instruction":"q","chosen":"a","rejected":"b"}"#,
        r#"{"system_prompt":"S","conversations":[{"from":"human","value":"q"}],"chosen":{"from":"gpt","value":"a"},"rejected":{"from":"gpt","value":"b"}}"#,
        r#"{"system":"S","chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}"#,
    ];
    for line in pairs {
        let dataset = read(line);
        let Example::Pair(pair) = &dataset.rows[0] else { panic!("{line}: {:?}", dataset.rows) };
        asked(&pair.prompt);
        assert_eq!((pair.chosen.len(), pair.rejected[0].content.as_str()), (1, "b"), "{line}");
    }
    let others = [
        r#"{"system":"S","prompt":"q","completion":"a"}"#,
        r#"{"system":"S","prompt":"q","completion":"a","label":1}"#,
        r#"{"system":"S","instruction":"q","output":"a"}"#,
        r#"{"system":"S","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}"#,
        r#"{"system":"S","prompt":"q"}"#,
    ];
    for line in others {
        match &read(line).rows[0] {
            Example::Answer { prompt, .. } | Example::Rated { prompt, .. } | Example::Prompt { prompt } => {
                asked(prompt)
            }
            Example::Conversation { messages } => asked(messages),
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn a_column_of_system_lines_makes_all_rows_alike_and_says_so() {
    let dataset = read(concat!(
        r#"{"system":"S","prompt":"q","chosen":"a","rejected":"b"}"#,
        "\n",
        r#"{"system":"","prompt":"r","chosen":"a","rejected":"b"}"#,
        "\n",
        r#"{"prompt":"t","chosen":"a","rejected":"b"}"#
    ));
    let lengths: Vec<usize> = dataset
        .rows
        .iter()
        .map(|row| match row {
            Example::Pair(pair) => pair.prompt.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lengths, [2, 1, 1]);
    assert!(remarks(&dataset).contains("system prompt"), "{:?}", dataset.remarks);

    let own = read(
        r#"{"system":"S","messages":[{"role":"system","content":"T"},{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}"#,
    );
    assert!(remarks(&own).contains("“system” was not used"), "{:?}", own.remarks);
    let odd = refused(r#"{"system":7,"prompt":"q","chosen":"a","rejected":"b"}"#);
    assert!(odd.contains("“system” is the number 7"), "{odd}");
}

#[test]
fn labels_are_read_as_people_write_them() {
    let text = |values: &[&str]| -> String {
        values
            .iter()
            .enumerate()
            .map(|(index, value)| format!("{{\"prompt\":\"q\",\"completion\":\"a{index}\",\"label\":{value}}}\n"))
            .collect()
    };
    for values in [
        ["true", "false"],
        ["1", "0"],
        ["1.0", "0.0"],
        ["\"true\"", "\"False\""],
        ["\"1\"", "\"0\""],
        ["\"yes\"", "\"no\""],
    ] {
        let dataset = read(&text(&values));
        let found: Vec<bool> = dataset
            .rows
            .iter()
            .map(|row| match row {
                Example::PlainRated { label, .. } => *label,
                other => panic!("{values:?}: {other:?}"),
            })
            .collect();
        assert_eq!(found, [true, false], "{values:?}");
    }
    let mixed = read(&text(&["true", "null", "false", "0.5", "\"good\"", "\"\"", "[true]", "1"]));
    assert_eq!((mixed.kind, mixed.summary.kept), (DatasetKind::Ratings, 3));
    let rows: Vec<(usize, &str)> = mixed.issues.iter().map(|issue| (issue.row, issue.reason.en.as_str())).collect();
    assert_eq!(
        rows,
        [(2, "no label"), (4, "unknown label"), (5, "unknown label"), (6, "no label"), (7, "unknown label")]
    );
    let one = read(&text(&["true", "true"]));
    assert!(remarks(&one).contains("All labels are true (2 rows)"), "{:?}", one.remarks);
    assert!(refused(&text(&["\"helpful\"", "\"rude\""])).contains("label"));
}

#[test]
fn a_row_without_its_label_is_no_answer_to_learn() {
    let dataset = read(concat!(
        "{\"prompt\":\"q\",\"completion\":\"a\",\"label\":true}\n",
        "{\"prompt\":\"q\",\"completion\":\"b\"}\n",
        "{\"prompt\":\"q\",\"completion\":\"c\",\"label\":false}\n"
    ));
    assert_eq!((dataset.kind, dataset.summary.kept, dataset.issues[0].row), (DatasetKind::Ratings, 2, 2));
    let table = import(b"prompt,completion,label\nq,a,1\nq,b,0\nq,c,\nq,True,TRUE\n", "x.csv").unwrap();
    assert_eq!((table.kind, table.summary.kept, table.issues[0].row), (DatasetKind::Ratings, 3, 3));
    let Example::PlainRated { completion, .. } = &table.rows[2] else { panic!("{:?}", table.rows) };
    assert_eq!(completion, "True");
}

#[test]
fn lists_kept_as_text_are_read_as_lists() {
    let list = r#"[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\\nb\"}]"#;
    for column in ["messages", "conversations", "text"] {
        let dataset = read(&format!("{{\"id\":1,\"{column}\":\"{list}\"}}"));
        let Example::Conversation { messages } = &dataset.rows[0] else { panic!("{:?}", dataset.rows) };
        assert_eq!(messages[1], Message::assistant("a\nb"));
        assert!(remarks(&dataset).contains(&format!("“{column}”")), "{:?}", dataset.remarks);
    }
    let other = list.replace("a\\\\nb", "c");
    let dataset = read(&format!("{{\"prompt\":\"q\",\"chosen\":\"{list}\",\"rejected\":\"{other}\"}}"));
    let Example::Pair(pair) = &dataset.rows[0] else { panic!("{:?}", dataset.rows) };
    assert_eq!(
        (pair.prompt.as_slice(), pair.rejected.as_slice()),
        (&[Message::user("q")][..], &[Message::assistant("c")][..])
    );

    let python = refused(r#"{"messages":"[{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': 'a'}]"}"#);
    assert!(python.contains("Python") && python.contains("messages") && python.contains("json.dumps"), "{python}");
    let broken = refused(r#"{"messages":"[{\"role\": \"user\""}"#);
    assert!(broken.contains("“messages” is text, not a list"), "{broken}");
    // An answer that is JSON by itself stays text.
    let json = read(r#"{"prompt":"q","completion":"[{\"name\":\"x\"}]"}"#);
    assert!(matches!(json.rows[0], Example::PlainAnswer { .. }));
}

#[test]
fn bare_lists_are_conversations_and_batches_are_rows() {
    let turns = |role: &str, text: &str| {
        let (other, key, word) =
            if role == "human" { ("gpt", "from", "value") } else { ("assistant", "role", "content") };
        format!("[{{\"{key}\":\"{role}\",\"{word}\":\"{text}\"}},{{\"{key}\":\"{other}\",\"{word}\":\"a\"}}]")
    };
    let (one, two) = (turns("human", "q"), turns("user", "r"));
    for text in [
        format!("[{one},{two}]"),
        format!("{one}\n{two}\n"),
        format!("[\n{one},\n{two}\n]"),
        format!("{one}\n\n{two}"),
        format!("[[{one}],[{two}]]"),
    ] {
        let dataset = read(&text);
        assert_eq!((dataset.summary.kept, dataset.kind, dataset.issues.len()), (2, DatasetKind::Answers, 0), "{text}");
        assert!(remarks(&dataset).contains("Bare lists"), "{:?}", dataset.remarks);
    }
    assert_eq!(read(&one).summary.kept, 1);
    assert_eq!(read(&one.replace("},{", "},\n{")).summary.kept, 1);
    let batch = r#"[{"prompt":"a","completion":"b"},{"prompt":"c","completion":"d"}]"#;
    for text in
        [format!("{batch}\n{batch}\n{batch}\n"), format!("[{batch},{batch},{batch}]"), format!("{batch}{batch}{batch}")]
    {
        let dataset = read(&text);
        assert_eq!((dataset.summary.kept, dataset.issues.len()), (6, 0), "{text}");
    }
}

#[test]
fn rows_with_pictures_are_named_and_texts_are_kept() {
    let message = |content: &str| {
        format!(
            "{{\"messages\":[{{\"role\":\"user\",\"content\":{content}}},{{\"role\":\"assistant\",\"content\":\"a\"}}]"
        )
    };
    let kept = [
        message("\"q\"") + ",\"images\":[]}",
        message("\"q2\"") + ",\"images\":[{\"bytes\":null}],\"videos\":[]}",
        message(r#"[{"type":"text","text":"q"},{"type":"text","text":"3"}]"#) + "}",
        message("\"what is <image>x</image> in RSS, and <video>?\"") + "}",
    ];
    let left = [
        message("\"<image>q\"") + ",\"images\":[\"a.png\"]}",
        message("\"q\"") + ",\"image\":\"a.png\"}",
        message("\"<image>q\"") + "}",
        message("\"<video>q\"") + ",\"videos\":[]}",
        message(r#"[{"type":"image","image":"a"},{"type":"text","text":"q"}]"#) + "}",
        message(r#"[{"type":"image_url","image_url":{"url":"a"}}]"#) + "}",
        message(r#"[{"type":"input_audio","input_audio":{}}]"#) + "}",
        "{\"prompt\":\"<image>\\nq\",\"completion\":\"a\"}".to_owned(),
    ];
    let dataset = read(&[kept.as_slice(), left.as_slice()].concat().join("\n"));
    assert_eq!((dataset.summary.kept, dataset.issues.len()), (kept.len(), left.len()), "{:?}", dataset.issues);
    for issue in &dataset.issues {
        assert!(issue.reason.en.starts_with("row with") && issue.fix.en.contains("trains on text"), "{issue:?}");
    }
    let Example::Conversation { messages } = &dataset.rows[2] else { panic!() };
    assert_eq!(messages[0].content, "q3");
}

#[test]
fn other_names_are_taken_by_their_meaning_and_told() {
    let cases = [
        (r#"{"question":"q","good_answer":"a","bad_answer":"b"}"#, DatasetKind::Pairs),
        (r#"{"input":"q","win":"a","lose":"b"}"#, DatasetKind::Pairs),
        (
            r#"{"id":"1","category":"x","question":"q","Positive Option":" a\n","Negative Option":" b"}"#,
            DatasetKind::Pairs,
        ),
        (r#"{"question":"q","answer":"a"}"#, DatasetKind::Answers),
        (r#"{"query":"q","response":"a"}"#, DatasetKind::Answers),
        (r#"{"prompt":"q","query":"more","response":"a"}"#, DatasetKind::Answers),
        (r#"{"instruction":"q","context":"more","response":"a","category":"x"}"#, DatasetKind::Answers),
        (r#"{"Prompt":"q","Completion":"a"}"#, DatasetKind::Answers),
        (r#"{"prompt":"q","response":"a","is_safe":false}"#, DatasetKind::Ratings),
        (r#"{"question_text":"q","answer_good":"a","answer_bad":"b"}"#, DatasetKind::Pairs),
        (r#"{"question":"q","preferred_output":"a","non_preferred_output":"b"}"#, DatasetKind::Pairs),
        (r#"{"prompt":"q","y_w":"a","y_l":"b"}"#, DatasetKind::Pairs),
        (r#"{"question":"q","good":"yes","bad":"no"}"#, DatasetKind::Pairs),
        (r#"{"question":"q","answer":"yes","good":true}"#, DatasetKind::Ratings),
        (r#"{"instruction":"q","input":"","good_res":"a","bad_res":"b"}"#, DatasetKind::Pairs),
        (r#"{"question":"q","answer":"a","is_correct":0}"#, DatasetKind::Ratings),
        (r#"{"question":"q","category":"c"}"#, DatasetKind::Prompts),
    ];
    for (line, kind) in cases {
        let dataset = read(line);
        assert_eq!(dataset.kind, kind, "{line}");
        assert!(remarks(&dataset).contains("read by their meaning"), "{line}: {:?}", dataset.remarks);
    }
    let Example::Pair(pair) = &read(cases[2].0).rows[0] else { panic!() };
    assert_eq!(
        (pair.prompt[0].role, pair.chosen[0].content.as_str(), pair.rejected[0].content.as_str()),
        (Role::User, "a", "b")
    );
    let Example::Answer { prompt, .. } = &read(cases[5].0).rows[0] else { panic!() };
    assert_eq!(prompt[0].content, "q\nmore");
}

#[test]
fn doubtful_names_are_offered_and_not_taken() {
    for (line, words) in [
        (r#"{"question":"q","response_a":"a","response_b":"b"}"#, ["response_a", "response_b", "“chosen”"]),
        (r#"{"prompt":"q","output_1":"a","output_2":"b","preference":1}"#, ["output_1", "output_2", "“rejected”"]),
        (r#"{"ask":"q","goodness":"a","badness":"b"}"#, ["goodness", "badness", "add “prompt”"]),
        (r#"{"question":"q","choices":["a","b"],"answer":"a"}"#, ["question", "choices", "rename"]),
        (r#"{"question":"q","answer":"a","correction":"b"}"#, ["correction", "“chosen”", "“rejected”"]),
        (r#"{"question":"q","best_answer":"a","answers":["b"]}"#, ["best_answer", "question", "rejected"]),
        (r#"{"foo":"q","bar":"a"}"#, ["foo", "bar", "completion"]),
        (r#"{"prompt":"q","model_answer":"a","human_answer":"b"}"#, ["prompt", "model_answer", "human_answer"]),
    ] {
        let said = refused(line);
        assert!(words.iter().all(|word| said.contains(word)), "{line}: {said}");
    }
    for (line, word) in [
        (r#"{"chosen":"\n\nHuman: q\n\nAssistant: a","rejected":"\n\nHuman: q\n\nAssistant: b"}"#, "HH-RLHF"),
        (r#"{"message_tree_id":"x","prompt":{"text":"q","role":"prompter","replies":[]}}"#, "OpenAssistant"),
        (r#"{"instruction":"q","completions":[{"response":"a"}],"source":"s"}"#, "UltraFeedback"),
    ] {
        assert!(refused(line).contains(word), "{line}: {}", refused(line));
    }
}

#[test]
fn faults_say_what_is_there() {
    let dataset = read(concat!(
        "{\"prompt\":\"a\",\"completion\":\"b\"}\n",
        "{\"prompt\":\"a\",\"completion\":\" \"}\n",
        "nonsense\n",
        "[1]\n",
        "{\"prompt\":\"\",\"completion\":\"b\"}\n",
        "{\"prompt\":12,\"completion\":\"b\"}\n",
        "{\"prompt\":null,\"completion\":\"b\"}\n",
        "{\"prompt\":\"a\",\"completion\":[\"b\"]}\n",
        "{\"prompt\":\"a\",\"completion\":1e999}\n",
    ));
    assert_eq!((dataset.summary.read, dataset.summary.kept), (9, 1));
    let rows: Vec<(usize, &str)> = dataset.issues.iter().map(|issue| (issue.row, issue.reason.en.as_str())).collect();
    assert_eq!(
        rows,
        [
            (2, "no answer"),
            (3, "broken record"),
            (4, "not an object"),
            (5, "empty prompt"),
            (6, "not text"),
            (7, "no prompt"),
            (8, "broken message"),
            (9, "broken record")
        ]
    );
    assert!(dataset.issues[4].found.en.contains("the number 12"), "{:?}", dataset.issues[4]);
    assert_eq!(dataset.summary.dropped.iter().map(|count| count.rows).sum::<usize>(), 8);
    let roles = read(concat!(
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]}\n",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"asistant\",\"content\":\"b\"}]}\n",
        "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{}]}]}\n",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":\"c\"}]}\n",
    ));
    let rows: Vec<(usize, &str)> = roles.issues.iter().map(|issue| (issue.row, issue.reason.en.as_str())).collect();
    assert_eq!(rows, [(2, "no answer"), (3, "unknown role"), (4, "no prompt"), (5, "call of a tool")]);
    assert!(remarks(&roles).contains("the first is row 6"), "{:?}", roles.remarks);
}

#[test]
fn repeated_rows_and_unused_columns_are_told() {
    let row = "{\"id\":1,\"prompt\":\"a\",\"completion\":\"b\",\"score\":3,\"note\":\"\"}\n";
    let dataset = read(&format!("{row}{row}{row}{{\"prompt\":\"a\",\"completion\":\"c\"}}\n"));
    assert_eq!(dataset.summary.kept, 4);
    let said = remarks(&dataset);
    assert!(said.contains("2 rows repeat an earlier row") && said.contains("Not used: “score”."), "{said}");
}

#[test]
fn texts_of_strangers_are_spelled_out_in_messages() {
    let dataset = read(
        "{\"prompt\":\"a\",\"completion\":\"b\",\"\\u001b[31mx\":1}\n{\"messages\":[{\"role\":\"\\u001b]0;t\\u0007\",\"content\":\"x\"}]}\n\u{1b}[2J\n",
    );
    let words = serde_json::to_string(&(&dataset.remarks, &dataset.issues)).unwrap();
    assert_eq!(dataset.issues.len(), 2);
    assert!(!words.contains("\\u001b") && words.contains("u{1b}"), "{words}");
}
