//! Answering conversations: a model with its tokenizer and chat template, and an adapter if there is one.

use crate::train::memory::AtOnce;
use crate::{machine::compute, train::provenance};
use alidade_domain::{LocalTime, Message, Precision, Problem, Sampling};
use alidade_model::{
    ChatTemplate, Decoder, Finish, ForwardOptions, GenerationOptions, ModelFolder, TextTokenizer, TokenBatch, generate,
    generate_seeded, generate_streaming, load_adapter, runs_on_slices,
};
use alidade_train::Encoder;
use std::path::Path;

/// The name under which an adapter is installed.
pub const ADAPTER: &str = "adapter";

/// A loaded model that can be talked to.
pub struct Speaker {
    decoder: Box<dyn Decoder>,
    tokenizer: TextTokenizer,
    template: Option<ChatTemplate>,
    adapter: Option<String>,
    precision: Precision,
}

/// A decoder with an adapter, and how its weights are held: f32 where the kernels do not run the two together.
pub fn load(
    folder: &ModelFolder,
    adapter: Option<&Path>,
    precision: Precision,
    trainable: bool,
) -> Result<(Box<dyn Decoder>, Precision), Problem> {
    if let Some(path) = adapter {
        fits(path, folder)?;
    }
    let weights = adapter.map(|path| load_adapter(path, &folder.spec)).transpose();
    let weights = weights.map_err(|error| Problem::from(error).at("adapter"))?;
    let backend = compute::backend()?.carrying(&folder.spec, weights.as_ref());
    let held = backend.engine(&folder.spec, weights.as_ref()).holds(precision);
    let precision = if held { precision } else { Precision::F32 };
    let decoder = folder.decoder_with(backend, precision);
    let mut decoder = decoder.map_err(|error| Problem::from(error).at("model"))?;
    if let Some(weights) = &weights {
        decoder.install(ADAPTER, weights, trainable)?;
    }
    Ok((decoder, precision))
}

/// Refuses an adapter that was changed since it was made, or made with another tokenizer.
fn fits(adapter: &Path, model: &ModelFolder) -> Result<(), Problem> {
    let fits = provenance::unchanged(adapter).and_then(|()| provenance::same_tokenizer(adapter, &model.path));
    fits.map_err(|problem| problem.at("adapter"))
}

/// One request for a streamed answer.
pub struct AnswerRequest<'a> {
    /// The conversation so far; the last turn is the person's.
    pub messages: &'a [Message],
    /// How tokens are drawn.
    pub sampling: &'a Sampling,
}

impl Speaker {
    /// Loads a model folder and, if given, a PEFT folder.
    ///
    /// # Errors
    /// When one of them cannot be used; the field is named.
    pub fn open(model: &Path, adapter: Option<&Path>, precision: Precision) -> Result<Self, Problem> {
        let at_model = |error| Problem::from(error).at("model");
        let folder = ModelFolder::open(model).map_err(at_model)?;
        let tokenizer = folder.tokenizer().map_err(at_model)?;
        let template = folder.chat_template(&tokenizer, crate::local_time()).map_err(at_model)?;
        let (decoder, precision) = load(&folder, adapter, precision, false)?;
        let adapter = adapter.map(|_| ADAPTER.to_owned());
        Ok(Self { decoder, tokenizer, template, adapter, precision })
    }

    /// How the weights are held.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// How much it may read and write at a time.
    pub fn at_once(&self) -> AtOnce {
        AtOnce::of(&self.decoder.footprint())
    }

    /// Continues plain text; no template is applied.
    ///
    /// # Errors
    /// When the text is empty or too long.
    pub fn continue_text(&self, text: &str, sampling: &Sampling, ignore_eos: bool) -> Result<String, Problem> {
        let mut options = self.options(sampling);
        if ignore_eos {
            options.stops.clear();
        }
        let ids = vec![self.encoder().plain_prompt(text)?];
        let answers = generate(self.decoder.as_ref(), self.adapter.as_deref(), &ids, &options)?;
        Ok(self.tokenizer.decode(&answers[0].ids)?)
    }

    /// Writes an answer piece by piece; `listener` gets new text and returns false to stop. Returns the whole answer and
    /// how it ended.
    ///
    /// # Errors
    /// When the conversation cannot be rendered or is too long.
    pub fn answer(
        &self,
        request: &AnswerRequest,
        listener: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(String, Finish), Problem> {
        self.continue_prompt(self.prompt(request.messages)?, request.sampling, listener)
    }

    /// A conversation as the model reads it, up to where its answer begins.
    ///
    /// # Errors
    /// When the conversation cannot be rendered.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, Problem> {
        Ok(self.encoder().prompt(messages)?)
    }

    /// As [`Speaker::answer`], after a prompt in tokens.
    ///
    /// # Errors
    /// When it is too long.
    pub fn continue_prompt(
        &self,
        prompt: Vec<u32>,
        sampling: &Sampling,
        listener: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(String, Finish), Problem> {
        let ids = [prompt];
        let (mut written, mut shown, mut failure) = (Vec::new(), 0, None);
        let mut on_token = |_: usize, id: u32| {
            written.push(id);
            match self.tokenizer.decode(&written) {
                // A character may still lack bytes; it is shown when it is whole.
                Ok(text) if !text.ends_with('\u{fffd}') && text.len() > shown => {
                    let more = listener(&text[shown..]);
                    shown = text.len();
                    more
                }
                Ok(_) => true,
                Err(error) => {
                    failure = Some(error);
                    false
                }
            }
        };
        let options = self.options(sampling);
        let answers =
            generate_streaming(self.decoder.as_ref(), self.adapter.as_deref(), &ids, &options, &mut on_token)?;
        match failure {
            Some(error) => Err(error.into()),
            None => Ok((self.tokenizer.decode(&answers[0].ids)?, answers[0].finish)),
        }
    }

    /// Tokens of a text.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn tokens(&self, text: &str) -> Result<usize, Problem> {
        Ok(self.tokenizer.encode(text)?.len())
    }

    /// Mean log-probability (nats) of the scored tokens of each row.
    ///
    /// # Errors
    /// When a row is longer than the model's context.
    pub fn mean_logp(&mut self, batch: &TokenBatch) -> Result<Vec<f64>, Problem> {
        let options = ForwardOptions { adapter: self.adapter.as_deref(), ..ForwardOptions::default() };
        let scores = self.decoder.forward(batch, &options)?;
        let mean = |range: std::ops::Range<usize>| {
            let count = range.len().max(1) as f64;
            scores.logp[range].iter().sum::<f64>() / count
        };
        Ok(batch.target_ranges().into_iter().map(mean).collect())
    }

    /// Longest row that the model reads, in tokens.
    pub fn context(&self) -> usize {
        self.decoder.spec().context
    }

    /// The tokenizer and template, for counting tokens.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder { tokenizer: &self.tokenizer, template: self.template.as_ref() }
    }

    fn options(&self, sampling: &Sampling) -> GenerationOptions {
        GenerationOptions {
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            max_new_tokens: sampling.max_new_tokens,
            seed: sampling.seed,
            stops: self.encoder().stops(),
        }
    }
}

impl Speaker {
    /// Loads a base model once for several stacks on it, each the bare base or the base with an adapter: one copy of the
    /// weights, however many stacks are compared. `now` is the day that the chat template is told.
    ///
    /// # Errors
    /// As [`Speaker::open`].
    pub fn of_stacks(
        model: &Path,
        stacks: &[Option<&Path>],
        precision: Precision,
        now: LocalTime,
    ) -> Result<Self, Problem> {
        let at_model = |error| Problem::from(error).at("model");
        let folder = ModelFolder::open(model).map_err(at_model)?;
        let named = stacks.iter().enumerate().filter_map(|(place, path)| Some((name_of(place), (*path)?)));
        for (_, path) in named.clone() {
            fits(path, &folder)?;
        }
        let load = |(name, path): (String, &Path)| Ok((name, load_adapter(path, &folder.spec)?));
        let adapters: Result<Vec<_>, alidade_model::ModelError> = named.map(load).collect();
        let adapters = adapters.map_err(|error| Problem::from(error).at("adapter"))?;
        let moved = adapters.iter().map(|(_, weights)| weights).find(|weights| {
            // One adapter that the kernels do not support moves the model for all.
            !runs_on_slices(&folder.spec, Some(weights))
        });
        let backend = compute::backend()?.carrying(&folder.spec, moved);
        let held = backend.engine(&folder.spec, moved).holds(precision);
        let precision = if held { precision } else { Precision::F32 };
        let tokenizer = folder.tokenizer().map_err(at_model)?;
        let template = folder.chat_template(&tokenizer, now).map_err(at_model)?;
        let mut decoder = folder.decoder_with(backend, precision).map_err(at_model)?;
        for (name, weights) in &adapters {
            decoder.install(name, weights, false)?;
        }
        let mut speaker = Self { decoder, tokenizer, template, adapter: None, precision };
        speaker.turn(0);
        Ok(speaker)
    }

    /// Lets the stack of this place answer from now on.
    pub fn turn(&mut self, place: usize) {
        let name = name_of(place);
        let installed = self.decoder.installed().into_iter().any(|(installed, _)| installed == name);
        self.adapter = installed.then_some(name);
    }

    /// Answers to prompts of tokens, each row with its own seed. The listener hears of every token as (row, id); writing ends
    /// when it returns false.
    pub fn generate(
        &self,
        prompts: &[Vec<u32>],
        seeds: &[u64],
        sampling: &Sampling,
        listener: &mut dyn FnMut(usize, u32) -> bool,
    ) -> Result<Vec<String>, Problem> {
        let (decoder, options) = (self.decoder.as_ref(), self.options(sampling));
        let answers = generate_seeded(decoder, self.adapter.as_deref(), prompts, seeds, &options, listener)?;
        answers.iter().map(|answer| Ok(self.tokenizer.decode(&answer.ids)?)).collect()
    }
}

/// Under which name the adapter of a stack is installed.
fn name_of(place: usize) -> String {
    format!("stack {place}")
}
