//! Rewrites a template before it is compiled, where Python's operators differ from minijinja's: `%` and `~` become calls,
//! because on strings they format values as Python does, and operands of comparisons and look-ups are first walked for fuel,
//! because nested lists can make a comparison take exponential time. Strings, comments and everything that is not an
//! expression are unchanged, and so are line numbers, so that errors name the right one. The calls are in `percent` and
//! `guard`.

use super::lexer::{Kind, Tag, Token, tags};

/// Takes the place of `left % right`.
pub(super) const REMAINDER: &str = "__remainder";
/// Takes the place of `a ~ b ~ c`.
pub(super) const CONCAT: &str = "__concat";
/// Stands around what a loop goes through.
pub(super) const LISTED: &str = "__listed";
/// Stands around what is about to be compared.
pub(super) const HELD: &str = "__held";

/// Brackets inside each other; beyond, the engine refuses the template anyway.
const DEEPEST: usize = 200;
const COMPARISONS: [&str; 7] = ["==", "!=", "<", "<=", ">", ">=", "in"];
/// Words that end an operand.
const WORDS: [&str; 6] = ["and", "or", "if", "else", "not", "recursive"];

/// The template with calls in the place of operators.
pub(super) fn rewritten(source: &str) -> String {
    let mut edits = Vec::new();
    for tag in tags(source) {
        let mut reader = Reader { edits: Vec::new(), levels: vec![Level::default()], end: 0, bare: false };
        if reader.read(&tag) {
            edits.append(&mut reader.edits);
        }
    }
    edits.sort_by_key(|edit| (edit.at, edit.rank));
    let (mut out, mut done) = (String::with_capacity(source.len() + edits.len() * 8), 0);
    for edit in edits {
        out.push_str(&source[done..edit.at]);
        out.push_str(edit.text);
        out.push_str(edit.call.map_or("", |_| "("));
        done = edit.at + edit.taken;
    }
    out.push_str(&source[done..]);
    out
}

/// A place where something is put, or put instead of `taken` bytes. At one place the lower rank comes first.
struct Edit {
    at: usize,
    taken: usize,
    rank: u8,
    text: &'static str,
    call: Option<()>,
}

/// What is known of the expression between two brackets, as far as it has been read. Places are bytes of the source.
#[derive(Default)]
struct Level {
    /// Whether an operand has ended here, so that `-` is a subtraction and `[` looks something up.
    operand: bool,
    /// Where the operands of a comparison, of `~` and of `%` begin.
    compared: Option<usize>,
    joined: Option<usize>,
    product: Option<usize>,
    /// Tokens since `compared`, and whether the first is a literal.
    tokens: usize,
    literal: bool,
    /// Set between the operator and the end of its right side.
    comparing: bool,
    /// The same of `in` in the head of a loop.
    looping: bool,
    concat: bool,
    remainder: bool,
    /// Whether these brackets look something up, and where the key of a dictionary or of such a look-up begins.
    subscript: bool,
    braces: bool,
    key: Option<usize>,
    keyed: usize,
}

/// Reads one tag.
struct Reader {
    edits: Vec<Edit>,
    levels: Vec<Level>,
    /// Where the last token ended.
    end: usize,
    /// The next word is a name, whatever it says: a test, a filter, an attribute.
    bare: bool,
}

impl Reader {
    /// False where brackets do not fit: the engine then says so of the template as it was written.
    fn read(&mut self, tag: &Tag) -> bool {
        let statement = tag.tokens.first().filter(|token| tag.statement && token.kind == Kind::Word);
        let mut of_loop = statement.is_some_and(|token| token.text == "for");
        for token in tag.tokens.iter().skip(usize::from(statement.is_some())) {
            // The first half of `not in`, behind its left side; a test that is negated says so before its name.
            if token.text == "not" && !self.bare && self.level().operand {
                continue;
            }
            let fits = match token.kind {
                Kind::Open => self.open(token),
                Kind::Close => self.close(),
                Kind::Literal => self.part(token),
                Kind::Word if !self.bare && of_loop && token.text == "in" => {
                    of_loop = false;
                    self.ended();
                    self.level().looping = true;
                    true
                }
                Kind::Word => self.word(token),
                Kind::Operator => self.operator(token),
            };
            if !fits {
                return false;
            }
            self.end = token.at + token.text.len();
        }
        self.ended() && self.levels.len() == 1
    }

    fn level(&mut self) -> &mut Level {
        // The list is never empty: `close` leaves its first entry.
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    fn call(&mut self, at: Option<usize>, rank: u8, name: &'static str) {
        let Some(at) = at else { return };
        self.edits.push(Edit { at, taken: 0, rank, text: name, call: Some(()) });
    }

    fn put(&mut self, at: usize, taken: usize, text: &'static str) {
        self.edits.push(Edit { at, taken, rank: if taken == 0 { 0 } else { 9 }, text, call: None });
    }

    /// A token that is, or begins, a part of an operand.
    fn part(&mut self, token: &Token) -> bool {
        let level = self.level();
        level.literal = if level.tokens == 0 { token.kind == Kind::Literal } else { level.literal };
        level.tokens += 1;
        level.keyed += 1;
        level.operand = true;
        self.begin(token.at);
        self.bare = false;
        true
    }

    /// An operand begins here, unless it has begun before.
    fn begin(&mut self, at: usize) {
        let level = self.level();
        for start in [&mut level.compared, &mut level.joined, &mut level.product, &mut level.key] {
            start.get_or_insert(at);
        }
    }

    fn open(&mut self, token: &Token) -> bool {
        let subscript = self.level().operand && token.text == "[";
        self.part(token);
        self.levels.push(Level { subscript, braces: token.text == "{", ..Level::default() });
        self.levels.len() <= DEEPEST
    }

    fn close(&mut self) -> bool {
        self.ended();
        let level = self.level();
        if level.subscript && level.keyed > 1 {
            let (key, end) = (level.key, self.end);
            self.call(key, 0, HELD);
            self.put(end, 0, ")");
        }
        self.levels.pop();
        self.bare = false;
        !self.levels.is_empty()
    }

    fn word(&mut self, token: &Token) -> bool {
        match token.text {
            // A test may be negated: its name comes after.
            "not" if self.bare => true,
            _ if self.bare => self.part(token),
            "is" => {
                self.part(token);
                self.bare = true;
                true
            }
            "in" => self.comparison(token.text),
            word if WORDS.contains(&word) => self.ended(),
            _ => self.part(token),
        }
    }

    fn operator(&mut self, token: &Token) -> bool {
        let operand = self.level().operand;
        match token.text {
            "." | "|" => {
                self.level().tokens += 1;
                self.level().keyed += 1;
                self.bare = true;
            }
            // The engine knows no such sign, and it changes nothing.
            "+" if !operand => self.put(token.at, 1, " "),
            "-" if !operand => self.begin(token.at),
            "+" | "-" => {
                self.concatenated();
                self.level().operand = false;
                self.level().tokens += 1;
            }
            // Not an operator: lists and dictionaries that are handed to a call.
            "*" | "**" if !operand => drop(self.ended()),
            "**" => self.level().operand = false,
            "*" | "/" | "//" => {
                self.divided();
                self.level().operand = false;
            }
            "%" | "~" if operand => self.replaced(token),
            text if COMPARISONS.contains(&text) => drop(self.comparison(text)),
            text => self.separator(text),
        }
        true
    }

    /// `%` and `~` become the comma between the arguments of a call.
    fn replaced(&mut self, token: &Token) {
        self.divided();
        if token.text == "%" {
            let start = self.level().product;
            self.call(start, 3, REMAINDER);
            self.level().remainder = true;
        } else {
            self.level().concat = true;
            self.level().product = None;
        }
        self.put(token.at, 1, ",");
        self.level().operand = false;
        self.level().tokens += 1;
    }

    /// A comma, a colon and the like: nothing goes on behind it.
    fn separator(&mut self, text: &str) {
        self.ended();
        let end = self.end;
        let level = self.level();
        let key = level.key.filter(|_| level.braces && text == ":" && level.keyed > 1);
        if key.is_some() {
            self.call(key, 0, HELD);
            self.put(end, 0, ")");
        }
        let level = self.level();
        // A slice has numbers where a look-up has a key.
        level.subscript &= text != ":";
        (level.key, level.keyed) = (None, 0);
    }

    /// The end of a right side of `%`.
    fn divided(&mut self) {
        if std::mem::take(&mut self.level().remainder) {
            self.put(self.end, 0, ")");
        }
    }

    /// The end of a chain of `~`.
    fn concatenated(&mut self) {
        self.divided();
        let level = self.level();
        let start = level.joined.take();
        level.product = None;
        if std::mem::take(&mut level.concat) {
            self.call(start, 2, CONCAT);
            self.put(self.end, 0, ")");
        }
    }

    /// The end of what is compared. A literal on either side keeps the comparison short.
    fn ended(&mut self) -> bool {
        self.concatenated();
        let level = self.level();
        let (start, plain) = (level.compared.take(), level.literal && level.tokens == 1);
        let (compared, listed) = (std::mem::take(&mut level.comparing) && !plain, std::mem::take(&mut level.looping));
        (level.tokens, level.literal, level.operand) = (0, false, false);
        for (wanted, name) in [(compared, HELD), (listed && start.is_some(), LISTED)] {
            if wanted {
                self.call(start, 1, name);
                self.put(self.end, 0, ")");
            }
        }
        true
    }

    fn comparison(&mut self, operator: &str) -> bool {
        let end = self.end;
        let level = self.level();
        let (start, plain) = (level.compared, level.literal && level.tokens == 1);
        let guarded = level.comparing;
        self.ended();
        // A dictionary is asked with what stands on the left.
        if operator == "in" && !plain && !guarded {
            self.call(start, 1, HELD);
            self.put(end, 0, ")");
        }
        self.level().comparing = !plain || operator == "in";
        true
    }
}
