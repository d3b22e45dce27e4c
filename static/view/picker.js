// Which provider is asked, and how the configured ones are.

import { askHealth, askProvider } from "../chat/gateway.js";
import { choices } from "../chat/kept.js";
import { find } from "./elements.js";
import { providerName } from "./provider_names.js";
import { say } from "../words.js";

const ASK_MILLISECONDS = 30_000;
const REMEMBERED = "provider";

export class Picker {
  #select = find("provider");
  #health = find("health");
  #states = new Map();
  #problem = say("provider.none");
  #models = new Map(); // provider → what the gateway says of it, to come

  constructor() {
    this.#select.addEventListener("change", () => this.#choose());
    setInterval(() => document.hidden || this.refresh(), ASK_MILLISECONDS);
  }

  get provider() {
    return this.#select.value;
  }

  /** Shows this provider as the chosen one, if it is configured. */
  set provider(name) {
    if (this.#states.has(name)) this.#select.value = name;
    this.#showHealth();
  }

  /** A provider that is well and not this one; null if there is none. */
  findOther(provider) {
    const others = [...this.#states].filter(([name, state]) => name !== provider && isWell(state));
    return others[0]?.[0] ?? null;
  }

  /** Why no provider can be asked, in words; null if one can. */
  get problem() {
    return this.provider ? null : this.#problem;
  }

  /** Asks the gateway how its providers are. */
  async refresh() {
    const health = await askHealth();
    find("offline").hidden = health.problem !== "unreachable";
    if (!health.problem) this.#showProviders(health);
    else this.#showProblem(say(`provider.${health.problem}`));
  }

  #choose() {
    choices.set(REMEMBERED, this.provider);
    this.#showHealth();
  }

  #showProviders({ demo, providers }) {
    this.#problem = say("provider.none");
    const chosen = this.provider || choices.get(REMEMBERED);
    this.#states = new Map(providers.map(({ name, state }) => [name, state]));
    const options = providers.map(
      ({ name, state }) => new Option(isWell(state) ? providerName(name) : withState("provider.option", name, state), name),
    );
    this.#select.replaceChildren(...options);
    if (this.#states.has(chosen)) this.#select.value = chosen;
    find("demo").hidden = !demo;
    this.#showHealth();
  }

  #showHealth() {
    const state = this.#states.get(this.provider);
    if (state) this.#show(state, withState("provider.state", this.provider, state));
    else this.#showProblem(this.#problem);
    this.#showModels(this.provider);
  }

  /** Says once for each provider which models it has: asking has the gateway ask the vendor. */
  async #showModels(name) {
    if (!this.#models.has(name)) this.#models.set(name, name ? askProvider(name) : null);
    const report = await this.#models.get(name);
    if (name !== this.provider) return;
    find("models").textContent = report?.model?.default ? describeModels(report.model) : "";
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

function describeModels({ default: first, fallback }) {
  const key = fallback ? "provider.answers.fallback" : "provider.answers";
  return say(key, { model: first, fallback });
}

const withState = (key, provider, state) =>
  say(key, { provider: providerName(provider), state: say(`provider.${state}`) });
const isWell = (state) => state === "OK" || state === "UNKNOWN";
