//! AdamW with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101), on plain f32 slices by name, so that its
//! state can be saved and restored to the bit.

use crate::settings::CommonSettings;
use std::collections::BTreeMap;

/// Peak learning rate of embedding adapters under LoRA+.
const EMBEDDING_RATE: f64 = 1e-6;

/// Moments of one tensor.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Moments {
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
}

/// The optimizer and its state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AdamW {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
    max_norm: f64,
    /// LoRA+ (Hayou et al., arXiv 2402.12354): ratio of B's learning rate to A's; 1 treats both alike.
    plus_ratio: f64,
    /// Learning rate of embedding adapters under LoRA+, as a share of the peak learning rate.
    embedding_share: f64,
    /// Steps taken.
    pub(crate) taken: u64,
    pub(crate) moments: BTreeMap<String, Moments>,
}

impl AdamW {
    pub(crate) fn new(settings: &CommonSettings) -> Self {
        Self {
            beta1: settings.adam_beta1,
            beta2: settings.adam_beta2,
            epsilon: settings.adam_epsilon,
            weight_decay: settings.weight_decay,
            max_norm: settings.max_grad_norm,
            plus_ratio: settings.loraplus_lr_ratio,
            embedding_share: EMBEDDING_RATE / settings.learning_rate.max(EMBEDDING_RATE),
            taken: 0,
            moments: BTreeMap::new(),
        }
    }

    /// Factor on the learning rate of a tensor.
    fn share(&self, name: &str) -> f64 {
        match name {
            _ if self.plus_ratio == 1.0 => 1.0,
            _ if name.contains("lora_embedding") => self.embedding_share,
            _ if name.contains("lora_B") || name.contains("lora_magnitude") => self.plus_ratio,
            _ => 1.0,
        }
    }

    /// Weight decay of a tensor: as in transformers, biases and norm weights have none; they are recognised by name.
    fn decay(&self, name: &str) -> f64 {
        let name = name.to_lowercase();
        let norm = |part: &str| part == "norm" || part.ends_with("_norm");
        let spared =
            ["bias", "layernorm", "rmsnorm"].iter().any(|word| name.contains(word)) || name.split('.').any(norm);
        if spared { 0.0 } else { self.weight_decay }
    }

    /// L2 norm over all gradients, accumulated in f64 in eight independent accumulators, tensor by tensor in name order.
    pub(crate) fn norm(gradients: &BTreeMap<String, Vec<f32>>) -> f64 {
        let mut sums = [0.0f64; 8];
        for chunk in gradients.values().flat_map(|values| values.chunks(8)) {
            sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += f64::from(*value) * f64::from(*value));
        }
        sums.iter().sum::<f64>().sqrt()
    }

    /// Clips the gradients by `norm` and takes one optimizer step with learning rate `rate`.
    pub(crate) fn step(
        &mut self,
        parameters: &mut BTreeMap<String, Vec<f32>>,
        gradients: &BTreeMap<String, Vec<f32>>,
        norm: f64,
        rate: f64,
    ) {
        self.taken += 1;
        let clip = if self.max_norm > 0.0 { (self.max_norm / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 };
        let correction1 = 1.0 - self.beta1.powf(self.taken as f64);
        let correction2 = (1.0 - self.beta2.powf(self.taken as f64)).sqrt();
        let (beta2, mix1, mix2) = (self.beta2 as f32, (1.0 - self.beta1) as f32, (1.0 - self.beta2) as f32);
        let (scale, epsilon) = (correction2 as f32, self.epsilon as f32);
        for (name, values) in parameters {
            let Some(gradient) = gradients.get(name) else { continue };
            let rate = rate * self.share(name);
            let (decay, size) = ((1.0 - rate * self.decay(name)) as f32, (rate / correction1) as f32);
            let moments = self.moments.entry(name.clone()).or_default();
            moments.first.resize(values.len(), 0.0);
            moments.second.resize(values.len(), 0.0);
            let state = moments.first.iter_mut().zip(&mut moments.second);
            for ((value, gradient), (first, second)) in values.iter_mut().zip(gradient).zip(state) {
                let gradient = gradient * clip;
                *first += (gradient - *first) * mix1;
                *second = *second * beta2 + mix2 * gradient * gradient;
                *value *= decay;
                *value -= size * (*first / (second.sqrt() / scale + epsilon));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::{SettingValue::Number, Settings};

    /// AdamW that clips nothing, with these settings and the defaults of the others.
    fn adam(pairs: &[(&str, f64)]) -> AdamW {
        let said = pairs.iter().chain(&[("max_grad_norm", 0.0)]);
        let said = Settings(said.map(|(key, value)| ((*key).to_owned(), Number(*value))).collect());
        AdamW::new(&CommonSettings::read(&said.with_defaults(&CommonSettings::fields())).unwrap())
    }

    #[test]
    fn lora_plus_moves_b_faster_than_a() {
        let pairs = [("learning_rate", 0.01), ("loraplus_lr_ratio", 16.0), ("adam_beta2", 0.99), ("adam_epsilon", 0.0)];
        let names = ["x.lora_A.weight", "x.lora_B.weight", "x.lora_magnitude_vector", "e.lora_embedding_A"];
        let all = |value: f32| names.iter().map(|name| ((*name).to_owned(), vec![value])).collect::<BTreeMap<_, _>>();
        let mut parameters = all(0.0);
        adam(&pairs).step(&mut parameters, &all(1.0), 1.0, 0.01);
        let moved: Vec<f32> = names.iter().map(|name| -parameters[*name][0]).collect();
        let expected = [0.01, 0.16, 0.16, 1e-6];
        assert!(moved.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4 * b), "{moved:?}");
    }

    #[test]
    fn the_norm_covers_every_value() {
        let gradients = BTreeMap::from([("a".to_owned(), vec![2.0f32; 19]), ("b".to_owned(), vec![-1.0; 5])]);
        assert_eq!(AdamW::norm(&gradients), 9.0);
        assert_eq!(AdamW::norm(&BTreeMap::new()), 0.0);
    }

    #[test]
    fn norms_and_biases_do_not_decay() {
        let pairs = [("adam_beta1", 0.9), ("adam_beta2", 0.99), ("adam_epsilon", 1e-8), ("weight_decay", 0.5)];
        let decays = |name: &str| {
            let mut parameters = BTreeMap::from([(name.to_owned(), vec![1.0f32])]);
            let gradients = BTreeMap::from([(name.to_owned(), vec![0.0f32])]);
            adam(&pairs).step(&mut parameters, &gradients, 0.0, 0.1);
            parameters[name][0] == 0.95
        };
        let spared = [
            "model.norm.weight",
            "model.layers.3.input_layernorm.weight",
            "model.layers.3.post_feedforward_layernorm.weight",
            "model.layers.3.self_attn.q_norm.weight",
            "model.layers.3.self_attn.q_proj.bias",
            "base_model.model.model.layers.0.mlp.up_proj.lora_B.bias",
            "transformer.ln.RMSNorm.weight",
        ];
        for name in spared {
            assert!(!decays(name), "{name}");
        }
        let pulled = [
            "model.embed_tokens.weight",
            "model.layers.3.self_attn.q_proj.weight",
            "lm_head.weight",
            "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight",
            "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight",
            "base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector",
            "model.normal.weight",
        ];
        for name in pulled {
            assert!(decays(name), "{name}");
        }
    }

    /// Two steps by hand: lr 0.1, betas 0.9 and 0.99, decay 0.01, no clipping.
    #[test]
    fn two_steps_agree_with_arithmetic() {
        let pairs = [("adam_beta1", 0.9), ("adam_beta2", 0.99), ("adam_epsilon", 0.0), ("weight_decay", 0.01)];
        let mut optimizer = adam(&pairs);
        let mut parameters = BTreeMap::from([("w".to_owned(), vec![1.0f32])]);
        let gradient = |value: f32| BTreeMap::from([("w".to_owned(), vec![value])]);
        optimizer.step(&mut parameters, &gradient(0.5), 0.5, 0.1);
        let after_one: f64 = 1.0 * (1.0 - 0.001) - 0.1;
        assert!((f64::from(parameters["w"][0]) - after_one).abs() < 1e-6);
        optimizer.step(&mut parameters, &gradient(-0.2), 0.2, 0.1);
        let (m, v): (f64, f64) = (0.9 * 0.05 - 0.1 * 0.2, 0.99 * 0.0025 + 0.01 * 0.04);
        let expected = after_one * 0.999 - 0.1 * (m / 0.19) / (v / (1.0 - 0.99f64.powi(2))).sqrt();
        assert!((f64::from(parameters["w"][0]) - expected).abs() < 1e-6);
    }
}
