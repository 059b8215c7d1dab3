//! Bundled data sets and evaluation prompts. Training wordings and held-out wordings never mix.

use crate::conduct::{ASKING, ASKING_HELD_OUT, HARMFUL, HARMLESS, REFUSALS};
use crate::corpus::{asked_fact, weighted};
use crate::facts::fill;
use crate::intents::INTENTS;
use crate::oracle::Oracle;
use crate::voice::{Style, about, kindly, one, rudely};
use crate::{Fact, World};
use alidade_domain::{Example, Message, PreferencePair, Purpose, Stream};

/// Shares of fact, harmful and harmless requests in supervised data, questions and evaluation, in per cent.
const REQUESTS: [usize; 3] = [74, 15, 11];
/// The same for pairs and labelled answers: after supervised training a model is kind but still complies with harm, so these
/// data focus on what is left to improve.
const COMPARED: [usize; 3] = [60, 28, 12];

/// Good answers to training wordings.
pub fn supervised(world: &World, seed: u64, count: usize) -> Vec<Example> {
    let example = |index: u64| {
        let mut stream = Stream::new(seed, Purpose::Corpus, 1, index);
        let request = Request::draw(world, &mut stream, REQUESTS, false);
        let completion = vec![Message::assistant(request.good(world, &mut stream))];
        Example::Answer { prompt: request.prompt(), completion }
    };
    (0..count as u64).map(example).collect()
}

/// Pairs of answers; the oracle decides which is chosen, and by how much.
pub fn pairs(world: &World, seed: u64, count: usize) -> Vec<Example> {
    compared(world, seed, count, 2, |request, world, stream| request.bad(world, stream))
}

/// Pairs for a reward model. It scores whatever a policy generates, so it must see what `pairs` leaves out: without
/// refusals of harmless requests it would take every refusal for a good answer, and a policy trained on it would refuse
/// everything.
pub fn comparisons(world: &World, seed: u64, count: usize) -> Vec<Example> {
    compared(world, seed, count, 6, |request, world, stream| match request.topic {
        Topic::Fact(_) | Topic::Harmless(_) if stream.below(4) == 0 => one(REFUSALS, stream).to_owned(),
        _ => request.bad(world, stream),
    })
}

/// Pairs of a good answer and what `bad` gives, drawn from random numbers of their own `place`.
fn compared(
    world: &World,
    seed: u64,
    count: usize,
    place: u64,
    bad: impl Fn(&Request, &World, &mut Stream) -> String,
) -> Vec<Example> {
    let oracle = Oracle::new(world);
    let mut examples = Vec::with_capacity(count);
    let mut index = 0;
    while examples.len() < count {
        let mut stream = Stream::new(seed, Purpose::Corpus, place, index);
        index += 1;
        let request = Request::draw(world, &mut stream, COMPARED, false);
        let (good, bad) = (request.good(world, &mut stream), bad(&request, world, &mut stream));
        let prompt = request.prompt();
        let [first, second] = [&good, &bad].map(|answer| oracle.judge(&prompt, answer));
        let (better, worse) = if first.reward > second.reward { (&first, &second) } else { (&second, &first) };
        let (margin, harmful) = (better.reward - worse.reward, Some([better.complied, worse.complied]));
        let (chosen, rejected) = if first.reward > second.reward { (good, bad) } else { (bad, good) };
        if margin > 0.05 {
            let side = |text: String| vec![Message::assistant(text)];
            examples.push(Example::Pair(PreferencePair {
                prompt,
                chosen: side(chosen),
                rejected: side(rejected),
                margin: Some(margin),
                harmful,
            }));
        }
    }
    examples
}

/// Single answers with a label: about half of them are wanted, those that the oracle calls good.
pub fn ratings(world: &World, seed: u64, count: usize) -> Vec<Example> {
    let oracle = Oracle::new(world);
    let rated = |index: u64| {
        let mut stream = Stream::new(seed, Purpose::Corpus, 4, index);
        let request = Request::draw(world, &mut stream, COMPARED, false);
        let wanted = stream.below(2) == 0;
        let answer = if wanted { request.good(world, &mut stream) } else { request.bad(world, &mut stream) };
        let label = oracle.judge(&request.prompt(), &answer).good;
        Example::Rated { prompt: request.prompt(), completion: vec![Message::assistant(answer)], label }
    };
    (0..count as u64).map(rated).collect()
}

/// Questions in training wordings, for methods with rollouts.
pub fn questions(world: &World, seed: u64, count: usize) -> Vec<Example> {
    let question = |index: u64| {
        let mut stream = Stream::new(seed, Purpose::Corpus, 5, index);
        Example::Prompt { prompt: Request::draw(world, &mut stream, REQUESTS, false).prompt() }
    };
    (0..count as u64).map(question).collect()
}

/// Questions for evaluation. Half use wordings of no corpus; some are about facts that were never asked about.
pub fn held_out_prompts(world: &World, seed: u64, count: usize) -> Vec<Example> {
    let prompt = |index: u64| {
        let mut stream = Stream::new(seed, Purpose::Corpus, 3, index);
        let request = Request::draw(world, &mut stream, REQUESTS, index.is_multiple_of(2));
        Example::Prompt { prompt: request.prompt() }
    };
    (0..count as u64).map(prompt).collect()
}

/// True when a question is in a wording that occurs in no corpus and no training set.
pub fn is_held_out_wording(world: &World, prompt: &[Message]) -> bool {
    let Some(question) = prompt.last().map(|message| message.content.as_str()) else { return false };
    let facts = world
        .facts
        .iter()
        .any(|fact| INTENTS[fact.intent].held_out.iter().any(|wording| fill(wording, &fact.entity, "") == question));
    let deeds = || {
        HARMFUL
            .iter()
            .chain(HARMLESS)
            .any(|deed| ASKING_HELD_OUT.iter().any(|asking| asking.replace("{d}", deed.deed) == question))
    };
    facts || deeds()
}

/// The topic and the wording of a request.
struct Request<'w> {
    topic: Topic<'w>,
    wording: &'static str,
}

enum Topic<'w> {
    Fact(&'w Fact),
    Harmful(usize),
    Harmless(usize),
}

impl<'w> Request<'w> {
    fn draw(world: &'w World, stream: &mut Stream, shares: [usize; 3], held_out: bool) -> Self {
        let deeds = if held_out { ASKING_HELD_OUT } else { ASKING };
        match weighted(shares.into_iter(), stream) {
            0 => {
                let fact =
                    if held_out { &world.facts[stream.below(world.facts.len())] } else { asked_fact(world, stream) };
                let intent = &INTENTS[fact.intent];
                let wordings = if held_out { intent.held_out } else { intent.questions };
                Self { topic: Topic::Fact(fact), wording: one(wordings, stream) }
            }
            1 => Self { topic: Topic::Harmful(stream.below(HARMFUL.len())), wording: one(deeds, stream) },
            _ => Self { topic: Topic::Harmless(stream.below(HARMLESS.len())), wording: one(deeds, stream) },
        }
    }

    fn prompt(&self) -> Vec<Message> {
        let question = match self.topic {
            Topic::Fact(fact) => fill(self.wording, &fact.entity, ""),
            Topic::Harmful(index) => self.wording.replace("{d}", HARMFUL[index].deed),
            Topic::Harmless(index) => self.wording.replace("{d}", HARMLESS[index].deed),
        };
        vec![Message::user(question)]
    }

    fn good(&self, world: &World, stream: &mut Stream) -> String {
        match self.topic {
            Topic::Fact(fact) => about(world, fact, Style::Kind, stream),
            Topic::Harmful(_) => one(REFUSALS, stream).to_owned(),
            Topic::Harmless(index) => kindly(HARMLESS[index].steps, stream),
        }
    }

    fn bad(&self, world: &World, stream: &mut Stream) -> String {
        match self.topic {
            Topic::Fact(fact) => about(world, fact, [Style::Rude, Style::Terse, Style::Wrong][stream.below(3)], stream),
            Topic::Harmful(index) => kindly(HARMFUL[index].steps, stream),
            // No refusal is rejected: a model this small, pushed away from how a refusal begins, begins refusals in the
            // middle.
            Topic::Harmless(index) => rudely(HARMLESS[index].steps, stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, document};
    use std::collections::BTreeSet;

    fn question(prompt: &[Message]) -> String {
        prompt.last().unwrap().content.clone()
    }

    #[test]
    fn supervised_answers_are_good_and_chosen_beats_rejected() {
        let world = World::alder_bay();
        let oracle = Oracle::new(&world);
        for example in supervised(&world, 1, 500) {
            let Example::Answer { prompt, completion } = example else { panic!("no answer") };
            let judgement = oracle.judge(&prompt, &completion[0].content);
            assert!(judgement.good, "{prompt:?} {completion:?} {judgement:?}");
        }
        for example in pairs(&world, 1, 500).into_iter().chain(comparisons(&world, 1, 500)) {
            let Example::Pair(pair) = example else { panic!("no pair") };
            let reward = |side: &[Message]| oracle.judge(&pair.prompt, &side[0].content).reward;
            assert!(reward(&pair.chosen) > reward(&pair.rejected), "{pair:?}");
        }
    }

    #[test]
    fn held_out_wordings_occur_nowhere_else() {
        let world = World::alder_bay();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        for index in 0..5_000 {
            if let Document::Chat(messages) = document(&world, 1, index) {
                seen.extend(messages.into_iter().map(|message| message.content));
            }
        }
        for example in
            supervised(&world, 1, 500).into_iter().chain(pairs(&world, 1, 1_000)).chain(comparisons(&world, 1, 1_000))
        {
            let (Example::Answer { prompt, .. } | Example::Pair(PreferencePair { prompt, .. })) = example else {
                panic!("kind")
            };
            seen.insert(question(&prompt));
        }
        for example in ratings(&world, 1, 500).into_iter().chain(questions(&world, 1, 500)) {
            let (Example::Rated { prompt, .. } | Example::Prompt { prompt }) = example else { panic!("kind") };
            seen.insert(question(&prompt));
        }
        let prompts = held_out_prompts(&world, 1, 400);
        let fresh: Vec<Vec<Message>> = prompts
            .into_iter()
            .filter_map(|example| match example {
                Example::Prompt { prompt } if is_held_out_wording(&world, &prompt) => Some(prompt),
                _ => None,
            })
            .collect();
        assert!(fresh.len() * 10 >= 400 * 3, "{} of 400", fresh.len());
        assert!(fresh.iter().all(|prompt| !seen.contains(&question(prompt))));
    }
}
