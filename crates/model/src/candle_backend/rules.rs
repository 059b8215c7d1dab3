//! Custom backward rules for values computed by an operation that has none.
//!
//! `attach` connects a computed value to its input with a rule for the backward pass, on any device. The rules here are
//! those of RMSNorm, rotary embedding, softmax, the frozen linear layer and the log-probability of a token.

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, D, DType, Device, Layout, MetalStorage, Result, Shape, Storage, Tensor,
};

/// The error of a value that was computed on another device than its input.
const ELSEWHERE: &str = "the value lies on another device than its input";

struct Attached<F> {
    value: Tensor,
    rule: F,
}

impl<F: Fn(&Tensor) -> Result<Tensor> + Send + Sync> CustomOp1 for Attached<F> {
    fn name(&self) -> &'static str {
        "value with a gradient rule"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let (storage, _) = self.value.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => Ok((storage.clone(), self.value.shape().clone())),
            _ => candle_core::bail!("{ELSEWHERE}"),
        }
    }

    // Without the features `cuda` and `metal` no tensor is on such a device, and these are never called.
    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        let (storage, layout) = self.value.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, self.value.shape().clone())),
            _ => candle_core::bail!("{ELSEWHERE}"),
        }
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        let (storage, layout) = self.value.storage_and_layout();
        match &*storage {
            Storage::Metal(storage) => Ok((storage.try_clone(layout)?, self.value.shape().clone())),
            _ => candle_core::bail!("{ELSEWHERE}"),
        }
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        (self.rule)(gradient).map(Some)
    }
}

/// Makes `value` (contiguous, computed from `input`) a node of the graph whose input gradient `rule` computes.
pub(super) fn attach(
    input: &Tensor,
    value: Tensor,
    rule: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    input.apply_op1(Attached { value: value.contiguous()?.detach(), rule })
}

/// RMSNorm over the last dimension with a frozen weight: n = x·s, s = (mean x² + ε)^(−1/2), y = n∘w;
/// dx = s·(g∘w) − n·s·mean(n∘g∘w).
pub(super) fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64, tape: bool) -> Result<Tensor> {
    let value = candle_nn::ops::rms_norm(&x.detach(), weight, epsilon as f32)?;
    if !tape {
        return Ok(value);
    }
    let (input, weight) = (x.detach(), weight.clone());
    attach(x, value, move |gradient| {
        let scale = (input.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?.recip()?;
        let normal = input.broadcast_mul(&scale)?;
        let weighted = gradient.broadcast_mul(&weight)?;
        let mean = (&normal * &weighted)?.mean_keepdim(D::Minus1)?;
        (weighted - normal.broadcast_mul(&mean)?)?.broadcast_mul(&scale)
    })
}

/// RMSNorm from basic operations, for a weight that is trained.
pub(super) fn rms_norm_trainable(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    let scale = (x.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?;
    x.broadcast_div(&scale)?.broadcast_mul(weight)
}

/// Rotates pairs (x_i, x_{i + d/2}) by the angles of `cos`, `sin` `[T, d/2]`; the gradient is rotated back.
pub(super) fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor, tape: bool) -> Result<Tensor> {
    let value = candle_nn::rotary_emb::rope(&x.detach().contiguous()?, cos, sin)?;
    if !tape {
        return Ok(value);
    }
    let (cos, back) = (cos.clone(), sin.neg()?);
    attach(x, value, move |gradient| candle_nn::rotary_emb::rope(&gradient.contiguous()?, &cos, &back))
}

/// Softmax over the last dimension; dx = y∘(g − Σ g∘y).
pub(super) fn softmax(x: &Tensor, tape: bool) -> Result<Tensor> {
    let value = candle_nn::ops::softmax_last_dim(&x.detach().contiguous()?)?;
    if !tape {
        return Ok(value);
    }
    let kept = value.clone();
    attach(x, value, move |gradient| {
        let product = (gradient * &kept)?;
        let sum = product.sum_keepdim(D::Minus1)?;
        product - kept.broadcast_mul(&sum)?
    })
}

/// x·Wᵀ for a frozen W `[out, in]` and x `[n, in]`: the gradient of W is never computed.
pub(super) fn frozen_matmul(x: &Tensor, weight: &Tensor, tape: bool) -> Result<Tensor> {
    let value = x.detach().matmul(&weight.t()?)?;
    if !tape {
        return Ok(value);
    }
    let weight = weight.clone();
    attach(x, value, move |gradient| gradient.contiguous()?.matmul(&weight))
}

/// The dtype of long sums: f64 where the device supports it.
pub(super) fn wide(device: &Device) -> DType {
    if device.is_metal() { DType::F32 } else { DType::F64 }
}

/// Log-probability of `targets` `[n]` under `logits` `[n, V]`; dz = g·(onehot − softmax z).
pub(super) fn token_logp(logits: &Tensor, targets: &Tensor, tape: bool) -> Result<(Tensor, Tensor)> {
    let detached = logits.detach();
    // Accumulated in f64: a long f32 sum rounds small terms next to a large one, alike in every row.
    let shifted = detached.broadcast_sub(&detached.max_keepdim(D::Minus1)?)?;
    let normaliser =
        shifted.exp()?.to_dtype(wide(shifted.device()))?.sum_keepdim(D::Minus1)?.log()?.to_dtype(shifted.dtype())?;
    let log_probabilities = shifted.broadcast_sub(&normaliser)?;
    let value = log_probabilities.gather(&targets.unsqueeze(1)?, 1)?.squeeze(1)?;
    if !tape {
        return Ok((value, log_probabilities));
    }
    let (kept, targets) = (log_probabilities.clone(), targets.unsqueeze(1)?);
    let node = attach(logits, value, move |gradient| {
        let gradient = gradient.unsqueeze(1)?;
        let spread = kept.exp()?.broadcast_mul(&gradient)?.neg()?;
        spread.scatter_add(&targets, &gradient, 1)
    })?;
    Ok((node, log_probabilities))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    fn ramp(shape: (usize, usize), step: f64) -> Tensor {
        let values: Vec<f32> = (0..shape.0 * shape.1).map(|i| ((i as f64 * step).sin() * 1.3) as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// Compares the gradient of Σ out∘mix under the rule with that of the same function from basic operations.
    fn check(rule: impl Fn(&Tensor) -> Result<Tensor>, basic: impl Fn(&Tensor) -> Result<Tensor>) {
        let input = Var::from_tensor(&ramp((4, 6), 0.7)).unwrap();
        let gradient = |function: &dyn Fn(&Tensor) -> Result<Tensor>| {
            let out = function(input.as_tensor()).unwrap();
            let mix = ramp((out.dims()[0], out.elem_count() / out.dims()[0]), 0.37).reshape(out.shape()).unwrap();
            let store = (&out * mix).unwrap().sum_all().unwrap().backward().unwrap();
            (
                out.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
                store.get(&input).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            )
        };
        let ((value, ours), (expected_value, expected)) = (gradient(&rule), gradient(&basic));
        for (a, b) in value.iter().chain(&ours).zip(expected_value.iter().chain(&expected)) {
            assert!((a - b).abs() < 2e-5, "{a} against {b}");
        }
    }

    #[test]
    fn rules_agree_with_basic_operations() {
        let weight = ramp((1, 6), 0.9).flatten_all().unwrap();
        check(|x| rms_norm(x, &weight, 1e-5, true), |x| rms_norm_trainable(x, &weight, 1e-5));
        check(|x| softmax(x, true), |x| candle_nn::ops::softmax(x, 1));
        let matrix = ramp((3, 6), 0.21);
        check(|x| frozen_matmul(x, &matrix, true), |x| x.matmul(&matrix.t()?));
        let targets = Tensor::new(&[5u32, 0, 2, 2], &Device::Cpu).unwrap();
        let basic = |x: &Tensor| candle_nn::ops::log_softmax(x, 1)?.gather(&targets.unsqueeze(1)?, 1)?.squeeze(1);
        check(|x| Ok(token_logp(x, &targets, true)?.0), basic);
    }

    #[test]
    fn rotation_agrees_with_basic_operations() {
        let (cos, sin) = (ramp((2, 3), 0.3).cos().unwrap(), ramp((2, 3), 0.3).sin().unwrap());
        let shaped = |x: &Tensor| x.reshape((1, 2, 2, 6));
        check(
            |x| rotate(&shaped(x)?, &cos, &sin, true)?.reshape((4, 6)),
            |x| candle_nn::rotary_emb::rope_slow(&shaped(x)?, &cos, &sin)?.reshape((4, 6)),
        );
    }
}
