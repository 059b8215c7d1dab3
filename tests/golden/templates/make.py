"""Renders the templates of this folder, which are our own, with transformers; writes expected.json.

Usage: python make.py   (needs transformers and jinja2; written with the versions that stand in expected.json)
"""

import json
import pathlib

import jinja2
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).parent
TOKENS = {"bos_token": "<|begin|>", "eos_token": "<|end|>"}


def said(*pairs):
    return [{"role": role, "content": content} for role, content in pairs]


CONVERSATIONS = {
    "question": said(("user", "Where is the mill?")),
    "answered": said(("user", "Where is the mill?"), ("assistant", "By the river.")),
    "system": said(("system", " Be brief. "), ("user", "Hi\nthere"), ("assistant", "Hello!"), ("user", "Bye."), ("assistant", "Bye!")),
    "signs": said(("user", "你好 <b>&amp;</b> \"'"), ("assistant", "{\"a\": 1} — ½ 🙂"), ("user", "{{ x }}"), ("assistant", "{% y %}")),
    "thoughts": said(("user", "Solve."), ("assistant", "<think>\none\n</think>\n\nDone."), ("user", "Again."), ("assistant", "<think>\nx\n</think>\n\nOk.")),
    "twice": said(("user", "Hello"), ("user", "Are you there?"), ("assistant", "Yes.")),
    "greeting": said(("assistant", "Welcome."), ("user", "Thanks."), ("assistant", "Not at all.")),
    "empty": said(("user", ""), ("assistant", "")),
}


def rendering(source, messages, prompt):
    marked = "{% generation %}" in source and not prompt
    try:
        texts, spans = render_jinja_template([messages], chat_template=source, return_assistant_tokens_mask=marked, add_generation_prompt=prompt, **TOKENS)
    except jinja2.exceptions.TemplateError as error:
        return {"refused": str(error)}
    shown = {"text": texts[0]}
    if marked:
        shown["generation_char_spans"] = [list(span) for span in spans[0]]
    return shown


templates = {}
for file in sorted(HERE.glob("*.jinja")):
    source = file.read_text()
    renderings = {f"{name}|agp={prompt}": rendering(source, messages, prompt) for name, messages in CONVERSATIONS.items() for prompt in (False, True)}
    templates[file.name] = {"special_tokens": TOKENS, "renderings": renderings}
versions = {"transformers": transformers.__version__, "jinja2": jinja2.__version__}
(HERE / "expected.json").write_text(json.dumps({"versions": versions, "conversations": CONVERSATIONS, "templates": templates}, ensure_ascii=False, indent=1) + "\n")
