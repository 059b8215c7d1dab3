//! Answering conversations: a model with its tokenizer and chat template, and an adapter if there is one.

use alidade_domain::{Generator, Message, Precision, Problem, Sampling};
use alidade_model::{
    Backend, ChatTemplate, Decoder, Finish, ForwardOptions, GenerationOptions, ModelFolder, TextTokenizer, TokenBatch,
    generate, generate_streaming, load_adapter, runs_on_slices,
};
use alidade_train::Encoder;
use std::path::Path;

pub(crate) const ADAPTER: &str = "adapter";

/// A loaded model that can be talked to.
pub struct Speaker {
    decoder: Box<dyn Decoder>,
    tokenizer: TextTokenizer,
    template: Option<ChatTemplate>,
    adapter: Option<&'static str>,
    precision: Precision,
}

/// A decoder with an adapter, and how its weights are held: f32 where the kernels do not run the two together.
pub(crate) fn load(
    folder: &ModelFolder,
    adapter: Option<&Path>,
    precision: Precision,
    trainable: bool,
) -> Result<(Box<dyn Decoder>, Precision), Problem> {
    let weights = adapter.map(|path| load_adapter(path, &folder.spec)).transpose();
    let weights = weights.map_err(|error| Problem::from(error).at("adapter"))?;
    let precision = if runs_on_slices(&folder.spec, weights.as_ref()) { precision } else { Precision::Single };
    let decoder = folder.decoder_with(Backend::Best, precision);
    let mut decoder = decoder.map_err(|error| Problem::from(error).at("model"))?;
    if let Some(weights) = &weights {
        decoder.install(ADAPTER, weights, trainable)?;
    }
    Ok((decoder, precision))
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
        let template = folder.chat_template(&tokenizer).map_err(at_model)?;
        let (decoder, precision) = load(&folder, adapter, precision, false)?;
        Ok(Self { decoder, tokenizer, template, adapter: adapter.map(|_| ADAPTER), precision })
    }

    /// How the weights are held.
    pub fn precision(&self) -> Precision {
        self.precision
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
        let ids = vec![self.tokenizer.encode(text)?];
        let answers = generate(self.decoder.as_ref(), self.adapter, &ids, &options)?;
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
        let ids = vec![self.encoder().prompt(request.messages)?];
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
        let options = self.options(request.sampling);
        let answers = generate_streaming(self.decoder.as_ref(), self.adapter, &ids, &options, &mut on_token)?;
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
        let options = ForwardOptions { adapter: self.adapter, ..ForwardOptions::default() };
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
            stops: self.tokenizer.stops().clone(),
        }
    }
}

/// Rows that are generated together: enough to use the processor, few enough to stay small.
const BATCH: usize = 32;

impl Generator for Speaker {
    fn generate(&self, conversations: &[Vec<Message>], sampling: &Sampling) -> Result<Vec<String>, Problem> {
        let prompts =
            conversations.iter().map(|messages| self.encoder().prompt(messages)).collect::<Result<Vec<_>, _>>()?;
        let mut answers = Vec::with_capacity(prompts.len());
        for (index, batch) in prompts.chunks(BATCH).enumerate() {
            let mut options = self.options(sampling);
            options.seed = sampling.seed.wrapping_add((index as u64) << 32);
            for answer in generate(self.decoder.as_ref(), self.adapter, batch, &options)? {
                answers.push(self.tokenizer.decode(&answer.ids)?);
            }
        }
        Ok(answers)
    }
}
