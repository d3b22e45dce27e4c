// Which provider is asked, with its model, and how the configured ones are.

import { askConfig } from "../chat/gateway.js";
import { choices } from "../chat/kept.js";
import { say } from "../words.js";
import { find } from "./elements.js";
import { providerName } from "./provider_names.js";

const ASK_MILLISECONDS = 30_000;
const SLOW_SECONDS = 6; // to the first word, on average
const REMEMBERED = "provider";

export class Picker {
  #select = find("provider");
  #health = find("health");
  #providers = new Map(); // by name, in the gateway's order
  #limits = null;
  #problem = say("provider.none");

  constructor() {
    this.#select.addEventListener("change", () => this.#choose());
    setInterval(() => document.hidden || this.refresh(), ASK_MILLISECONDS);
  }

  get provider() {
    return this.#select.value;
  }

  /** Shows this provider as the chosen one, if it is configured. */
  set provider(name) {
    if (this.#providers.has(name)) this.#select.value = name;
    this.#showHealth();
  }

  /** A provider that is well and not this one; null if there is none. */
  findOther(provider) {
    const others = [...this.#providers.values()].filter(({ name, state }) => name !== provider && isWell(state));
    return (others.find(({ state }) => state === "OK") ?? others[0])?.name ?? null;
  }

  /** The providers that can be asked. */
  get providers() {
    return [...this.#providers.keys()];
  }

  /** The gateway's limits of a request, for the chosen provider: one may take no files. Null until they are known. */
  get limits() {
    const takesFiles = this.#providers.get(this.provider)?.files ?? true;
    return takesFiles ? this.#limits : { ...this.#limits, max_file_bytes: 0 };
  }

  /** Why no provider can be asked, in words; null if one can. */
  get problem() {
    return this.provider ? null : this.#problem;
  }

  /** Asks the gateway how its providers are. */
  async refresh() {
    const config = await askConfig();
    find("offline").hidden = config.problem !== "unreachable";
    if (config.problem) return this.#showProblem(say(`provider.${config.problem}`));
    this.#limits = config.limits;
    this.#showProviders(config);
  }

  /** What was used last is offered first the next time. */
  remember() {
    choices.set(REMEMBERED, this.provider);
  }

  #choose() {
    this.remember();
    this.#showHealth();
  }

  #showProviders({ demo, providers }) {
    const chosen = this.provider;
    this.#problem = say("provider.none");
    this.#providers = new Map(providers.map((provider) => [provider.name, provider]));
    this.#select.replaceChildren(...providers.map((provider) => new Option(describe(provider), provider.name)));
    this.#select.value = this.#providers.has(chosen) ? chosen : this.#preselect();
    find("demo").hidden = !demo;
    this.#showHealth();
  }

  /** The one that was used last, unless it fails; else the first that is well. */
  #preselect() {
    const last = this.#providers.get(choices.get(REMEMBERED));
    if (last && last.state !== "ERROR") return last.name;
    const all = [...this.#providers.values()];
    return (all.find(({ state }) => isWell(state)) ?? all[0])?.name ?? "";
  }

  #showHealth() {
    const provider = this.#providers.get(this.provider);
    find("models").textContent = provider ? describeModels(provider.model) : "";
    if (!provider) return this.#showProblem(this.#problem);
    const state = say(`provider.${isSlow(provider) ? "slow" : provider.state}`);
    this.#show(provider.state, say("provider.state", { provider: providerName(provider.name), state }));
  }

  #showProblem(words) {
    this.#problem = words;
    this.#show("ERROR", words);
  }

  #show(state, words) {
    this.#health.dataset.state = state;
    this.#health.title = words;
    find("health-words").textContent = words;
  }
}

/** A provider in the list: its name and model, and what is to be known before it is chosen. */
function describe({ name, state, model, seconds }) {
  const provider = providerName(name);
  const words = model.default ? say("provider.model", { provider, model: model.default }) : provider;
  if (isSlow({ seconds })) return say("provider.option", { provider: words, state: say("provider.slow") });
  return isWell(state) ? words : say("provider.option", { provider: words, state: say(`provider.${state}`) });
}

function describeModels({ default: model, fallback }) {
  if (!model) return "";
  return say(fallback ? "provider.answers.fallback" : "provider.answers", { model, fallback });
}

const isWell = (state) => state === "OK" || state === "UNKNOWN";
const isSlow = ({ seconds }) => seconds !== null && seconds > SLOW_SECONDS;
