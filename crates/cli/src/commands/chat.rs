//! `alidade chat`: a conversation in the terminal; answers appear while they are generated.

use crate::output;
use alidade_domain::{Message, Precision, Problem, Sampling, why, wording};
use alidade_studio::{AnswerRequest, Depth, Speaker, vet_stack};
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

/// Arguments of `chat`.
#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct Arguments {
    /// The model folder.
    #[arg(long)]
    model: PathBuf,
    /// A PEFT adapter folder.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// Number format of the weights: f32, bf16, q8_0 or q4_0. Models and adapters that run on candle stay f32.
    #[arg(long, default_value = "f32")]
    dtype: String,
    /// A system message.
    #[arg(long)]
    system: Option<String>,
    /// Sampling temperature; 0 takes the likeliest token.
    #[arg(long, default_value_t = 0.7)]
    temperature: f64,
    /// Maximum number of tokens of an answer.
    #[arg(long, default_value_t = 256)]
    max_new_tokens: usize,
    /// Random seed of the first answer; each further answer uses the next.
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let precision = Precision::named(&arguments.dtype)?;
    let mut sampling = Sampling {
        temperature: arguments.temperature,
        top_p: 1.0,
        max_new_tokens: arguments.max_new_tokens,
        seed: arguments.seed,
    };
    super::drawable(&sampling)?;
    let opening = [arguments.system.as_deref().unwrap_or_default()];
    vet_stack(&arguments.model, arguments.adapter.as_deref(), Depth::Text, &opening)?;
    output::notes(&arguments.model, arguments.adapter.as_deref());
    let speaker = Speaker::open(&arguments.model, arguments.adapter.as_deref(), precision)?;
    output::held(precision, speaker.precision());
    let mut messages: Vec<Message> = arguments.system.iter().map(|text| Message::system(text.clone())).collect();
    let input = std::io::stdin();
    loop {
        if input.is_terminal() {
            output::ask(wording!("you: ", "您："));
        }
        let mut line = String::new();
        let read = input.lock().read_line(&mut line).map_err(|error| {
            Problem::input(wording!("Reading your input failed: {why}.", "读取输入失败：{why}。"; why = why(&error)))
        })?;
        if read == 0 {
            return Ok(());
        }
        if line.trim().is_empty() {
            continue;
        }
        messages.push(Message::user(line.trim()));
        let request = AnswerRequest { messages: &messages, sampling: &sampling };
        let (text, _) = speaker.answer(&request, &mut |piece| {
            output::piece(piece);
            true
        })?;
        output::line("");
        messages.push(Message::assistant(text));
        sampling.seed = sampling.seed.wrapping_add(1);
    }
}
