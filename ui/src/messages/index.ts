// One dictionary per noun; English is the source of the type.
import * as chat from "./chat";
import * as common from "./common";
import * as compare from "./compare";
import * as data from "./data";
import * as experiments from "./experiments";
import * as explained from "./explained";
import * as models from "./models";
import * as report from "./report";
import * as run from "./run";
import * as samples from "./samples";
import * as settings from "./settings";
import * as wizard from "./wizard";

export const en = {
  common: common.en,
  compare: compare.en,
  experiments: experiments.en,
  explained: explained.en,
  samples: samples.en,
  wizard: wizard.en,
  run: run.en,
  chat: chat.en,
  models: models.en,
  data: data.en,
  report: report.en,
  settings: settings.en,
};

export type Messages = typeof en;

export const zh: Messages = {
  common: common.zh,
  compare: compare.zh,
  experiments: experiments.zh,
  explained: explained.zh,
  samples: samples.zh,
  wizard: wizard.zh,
  run: run.zh,
  chat: chat.zh,
  models: models.zh,
  data: data.zh,
  report: report.zh,
  settings: settings.zh,
};
