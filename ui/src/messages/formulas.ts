// The loss of each method in the notation of its paper, the same in every language. x is the prompt, y the answer, y_w the
// chosen one, y_l the rejected one, θ what is trained, ref the model at the start. Written in the few marks that wizard/math reads.
export const FORMULAS: Record<string, string[]> = {
  sft: ["L = − \\frac{1}{|y|} Σ_t log π_θ(y_t | x, y_{<t})"],
  dpo: ["L = − log σ( β log \\frac{π_θ(y_w | x)}{π_{ref}(y_w | x)} − β log \\frac{π_θ(y_l | x)}{π_{ref}(y_l | x)} )"],
  kto: [
    "L = w · ( 1 − σ( ± β ( log \\frac{π_θ(y | x)}{π_{ref}(y | x)} − KL(π_θ || π_{ref}) ) ) )",
    "+ , w = w_{up}   for 👍        − , w = w_{down}   for 👎",
  ],
  orpo: [
    "L = L_{SFT}(y_w) − β log σ( log \\frac{odds_θ(y_w | x)}{odds_θ(y_l | x)} )",
    "odds_θ(y | x) = \\frac{p}{1 − p} ,   log p = \\frac{1}{|y|} log π_θ(y | x)",
  ],
  cpo: ["L = − log σ( β log π_θ(y_w | x) − β log π_θ(y_l | x) ) + α L_{SFT}(y_w)"],
  simpo: ["L = − log σ( \\frac{β}{|y_w|} log π_θ(y_w | x) − \\frac{β}{|y_l|} log π_θ(y_l | x) − γ )"],
  reward_model: ["L = − log σ( r_φ(x, y_w) − r_φ(x, y_l) )"],
  ppo: [
    "L = − E [ min( ρ_t A_t , clip(ρ_t, 1 − ε, 1 + ε) A_t ) ] ,   ρ_t = \\frac{π_θ(y_t | x, y_{<t})}{π_{old}(y_t | x, y_{<t})}",
    "R(x, y) = r(x, y) − β log \\frac{π_θ(y | x)}{π_{ref}(y | x)}",
  ],
  grpo: [
    "L = − E [ min( ρ_t A_i , clip(ρ_t, 1 − ε, 1 + ε) A_i ) ] + β KL(π_θ || π_{ref})",
    "A_i = \\frac{r_i − mean(r_1 … r_G)}{std(r_1 … r_G)}",
  ],
  rloo: ["L = − E [ A_i log π_θ(y_i | x) ] ,   A_i = r_i − \\frac{1}{G − 1} Σ_{j ≠ i} r_j"],
  online_dpo: [
    "y_1 , y_2 ∼ π_θ( · | x) ,   y_w :  r(x, y_w) ≥ r(x, y_l)",
    "L = − log σ( β log \\frac{π_θ(y_w | x)}{π_{ref}(y_w | x)} − β log \\frac{π_θ(y_l | x)}{π_{ref}(y_l | x)} )",
  ],
  rejection_sampling: ["y* = argmax_i r(x, y_i) ,   y_1 … y_G ∼ π_θ( · | x)", "L = − \\frac{1}{|y*|} log π_θ(y* | x)"],
};
