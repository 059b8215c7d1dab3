// What a stage is called: its method, and for a reward model also what it scores.
import type { Recipe, Stage } from "../backend/types";
import { t } from "./i18n.svelte";

export function stageName(recipe: Recipe | Stage): string {
  if (recipe.method === "reward_model" && recipe.settings["loss_type"] === "cost") return t().wizard.costModelName;
  return t().common.methods[recipe.method] ?? recipe.method;
}
