// The page's words, in the language in which the server sent the page. Each language has one file in words/.

const language = globalThis.document?.documentElement.lang || "en";
const { default: words } = await import(`./words/${language}.js`);
const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(language);
const hundredths = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** The words of this key, with `values` for the names in braces; `count` chooses the form of a noun. */
export function say(key, values = {}) {
  const found = words[key];
  const text = typeof found === "string" ? found : found[plurals.select(values.count)];
  return text.replace(/\{(\w+)\}/g, (_, name) => show(values[name]));
}

const show = (value) => (typeof value === "number" ? numbers.format(value) : value);

const LIMITS = [
  ["second", 90],
  ["minute", 90 * 60],
  ["hour", Infinity],
];
const LENGTHS = { second: 1, minute: 60, hour: 3600 };
const times = new Intl.RelativeTimeFormat(language);

/** "in 5 seconds"; what is far away is said in larger units. */
export function soon(seconds) {
  const [unit] = LIMITS.find(([, limit]) => seconds < limit);
  return times.format(Math.ceil(seconds / LENGTHS[unit]), unit);
}

/** Milliseconds as seconds, in the language's notation. */
export const seconds = (milliseconds) => hundredths.format(milliseconds / 1000);

/** A number of bytes in words. */
export const megabytes = (bytes) => say("megabytes", { count: Math.ceil((bytes / 2 ** 20) * 10) / 10 });

const lists = new Intl.ListFormat(language);

/** Several things in a sentence. */
export const list = (parts) => lists.format(parts);
