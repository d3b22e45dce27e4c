// What a person calls the providers.

import { say } from "../words.js";

const NAMES = { gpt: "GPT", claude: "Claude", gemini: "Gemini", groq: "Groq", local: say("provider.local") };

/** The name of a provider; one that is not known here is called by its own, with a capital. */
export const providerName = (provider) => NAMES[provider] ?? provider.charAt(0).toUpperCase() + provider.slice(1);
