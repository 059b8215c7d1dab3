//! A linear layer from hidden states to one scalar each, in plain Rust: score heads and value heads.

use alidade_domain::{Purpose, Stream};

/// w `[H]`, its gradient, and the hidden states of the last taped pass.
pub(crate) struct ScalarHead {
    pub(crate) name: String,
    pub(crate) weight: Vec<f32>,
    gradient: Option<Vec<f32>>,
    saved: Vec<f32>,
}

impl ScalarHead {
    pub(crate) fn new(name: &str, weight: Vec<f32>) -> Self {
        Self { name: name.to_owned(), weight, gradient: None, saved: Vec::new() }
    }

    /// All zero, as value heads are initialised.
    pub(crate) fn zero(name: &str, width: usize) -> Self {
        Self::new(name, vec![0.0; width])
    }

    /// N(0, 1/(H + 1)), as reward models are initialised (Ziegler et al., arXiv 1909.08593).
    pub(crate) fn random(name: &str, width: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, Purpose::Initialise, 3, 0);
        let scale = 1.0 / ((width + 1) as f64).sqrt();
        Self::new(name, (0..width).map(|_| (stream.normal() * scale) as f32).collect())
    }

    /// w·h for hidden states `[n, H]`.
    pub(crate) fn apply(&self, hidden: &[f32]) -> Vec<f64> {
        let dot = |row: &[f32]| row.iter().zip(&self.weight).map(|(h, w)| f64::from(*h) * f64::from(*w)).sum();
        hidden.chunks(self.weight.len()).map(dot).collect()
    }

    /// As [`ScalarHead::apply`], saving the hidden states for the backward pass.
    pub(crate) fn forward(&mut self, hidden: Vec<f32>) -> Vec<f64> {
        let values = self.apply(&hidden);
        self.saved = hidden;
        values
    }

    /// Adds Σ g·h to the gradient of w and returns ∂loss/∂hidden = g⊗w `[n, H]`.
    pub(crate) fn backward(&mut self, gradient: &[f64]) -> Vec<f32> {
        let width = self.weight.len();
        let mut own: Vec<f64> = vec![0.0; width];
        for (row, g) in self.saved.chunks(width).zip(gradient) {
            own.iter_mut().zip(row).for_each(|(sum, h)| *sum += g * f64::from(*h));
        }
        let sum = self.gradient.get_or_insert_with(|| vec![0.0; width]);
        sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own as f32);
        self.saved.clear();
        gradient.iter().flat_map(|g| self.weight.iter().map(move |w| (g * f64::from(*w)) as f32)).collect()
    }

    /// Takes the gradient accumulated since the last call.
    pub(crate) fn take_gradient(&mut self) -> Option<(String, Vec<f32>)> {
        self.gradient.take().map(|gradient| (self.name.clone(), gradient))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_gradients_are_those_of_a_dot_product() {
        let mut head = ScalarHead::new("h", vec![2.0, -1.0]);
        assert_eq!(head.forward(vec![1.0, 3.0, 0.5, 0.0]), [-1.0, 1.0]);
        assert_eq!(head.backward(&[1.0, 10.0]), [2.0, -1.0, 20.0, -10.0]);
        assert_eq!(head.take_gradient(), Some(("h".to_owned(), vec![6.0, 3.0])));
        assert_eq!(head.take_gradient(), None);
    }
}
