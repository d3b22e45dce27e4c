// The admin page: keys and their use, providers, workers, newest problems. All text goes in as text, never as HTML.
// The key is in this module's memory alone: no storage, no address, no cookie has it.

const REFRESH_SECONDS = 5;
const SILENT_SECONDS = 5; // the age of a report from which on its worker is silent
const LIMITS = {
  requests_per_minute: "requests a minute",
  streams: "streams at once",
  connections: "connections to each worker",
  tokens_per_day: "tokens a day",
  tokens_per_month: "tokens a month",
  usd_per_day: "USD a day",
  usd_per_month: "USD a month",
};
const RIGHTS = { admin: "admin page", metrics: "metrics", deep_health: "deep health" };
const REFUSALS = {
  401: "The gateway does not know this key, or it has expired.",
  403: "This key is not for the admin page.",
  404: "No key is for the admin page any more.",
};

const find = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

let session = null; // the key, its timer and the request in progress

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) made[property] = value;
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

const asTime = (text) => element("time", { dateTime: text }, moment.format(new Date(text)));
const lines = (texts) => texts.map((text) => element("p", {}, text));

/** Fill a table with rows of cells: each is a text, an element, a list of them, or null. */
function fill(id, titles, rows, nothing) {
  const head = element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title)));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, ...[cell ?? "–"].flat()))));
  if (!rows.length) body.push(element("tr", {}, element("td", { colSpan: titles.length }, nothing)));
  find(id).replaceChildren(element("thead", {}, head), element("tbody", {}, ...body));
}

function showLimit({ name, limit, used }) {
  if (used === null) return element("p", {}, `${LIMITS[name] ?? name}: up to ${number.format(limit)}`);
  const title = `${LIMITS[name] ?? name}: ${number.format(used)} of ${number.format(limit)}`;
  const meter = element("meter", { max: limit, high: 0.8 * limit, optimum: 0, value: used, ariaLabel: title });
  return element("p", {}, meter, title);
}

function showScope(key) {
  const scopes = ["providers", "models", "doors"].filter((name) => key[name] !== null);
  const texts = scopes.map((name) => `${name}: ${key[name].join(", ") || "none"}`);
  if (key.rights.length) texts.push(`also for: ${key.rights.map((right) => RIGHTS[right] ?? right).join(", ")}`);
  if (key.tags.length) texts.push(`tags: ${key.tags.join(", ")}`);
  return texts.length ? lines(texts) : "all chats";
}

function showExpiry({ expires, expired }) {
  if (!expires) return "never";
  return expired ? element("span", { className: "bad" }, "expired ", asTime(expires)) : asTime(expires);
}

function showKeys(keys) {
  const rows = keys.map((key) => [
    key.name,
    showExpiry(key),
    showScope(key),
    key.limits.length ? key.limits.map(showLimit) : "none",
    key.last_used && asTime(key.last_used),
  ]);
  fill("keys", ["Name", "Expires", "Scope", "Limits and their use", "Last use"], rows, "No keys.");
}

const judged = (text, good, quiet) => element("span", { className: text === good ? "good" : text === quiet ? "" : "bad" }, text);

function showProviders(providers) {
  const rows = providers.map(({ name, state, error, models }) => [
    name,
    judged(state, "OK", "UNKNOWN"),
    error && element("code", {}, error),
    models.map((model) => element("p", {}, `${model.name}: `, judged(model.breaker.replace("_", " "), "closed"))),
  ]);
  fill("providers", ["Name", "State", "Newest error", "Models and their breakers"], rows, "Nothing has been asked of any provider yet.");
}

function showWorkers(workers) {
  const rows = workers.map(({ process, streams, draining, age_seconds: age }) => [
    String(process),
    `${streams.open} of ${streams.limit}`,
    draining ? element("span", { className: "bad" }, "stopping") : age > SILENT_SECONDS ? element("span", { className: "bad" }, "silent") : "serves",
    `${number.format(age)} s ago`,
  ]);
  fill("workers", ["Process", "Streams", "State", "Newest report"], rows, "No worker has reported yet.");
}

function showProblems(problems) {
  const rows = problems.map((problem) => [
    asTime(problem.timestamp),
    judged(problem.level, null, "WARNING"),
    problem.message,
    problem.error_code ?? problem.code,
    [problem.provider, problem.model].filter(Boolean).join(" ") || null,
    problem.client,
    problem.request_id && problem.request_id !== "-" ? element("code", {}, problem.request_id) : null,
  ]);
  fill("problems", ["Time", "Level", "What", "Code", "Provider, model", "Key", "Request id"], rows, "None lately.");
}

function show(status) {
  const demo = status.demo ? ", in demo mode" : "";
  find("summary").replaceChildren(`Version ${status.version}${demo}, as of `, asTime(status.time));
  showKeys(status.keys);
  showProviders(status.providers);
  showWorkers(status.workers);
  showProblems(status.problems);
  find("problem").textContent = "";
  if (!find("shown").hidden) return;
  find("entry").hidden = true;
  find("shown").hidden = false;
  find("summary").focus(); // the field that had it is gone
}

/** Forget the key and all that it has shown, and ask for another one. */
function forget(problem = "") {
  clearTimeout(session?.timer);
  session?.abort.abort();
  session = null;
  for (const table of document.querySelectorAll("table")) table.replaceChildren();
  find("summary").replaceChildren();
  find("shown").hidden = true;
  find("entry").hidden = false;
  find("problem").textContent = problem;
  find("key").value = "";
  find("key").focus();
}

async function refresh(current) {
  const { signal } = current.abort;
  try {
    // A key is ASCII; another character could not be in a header.
    const headers = { Authorization: `Bearer ${current.key}` };
    const response = await fetch("admin/status", { headers, signal, cache: "no-store", credentials: "omit" });
    if (session !== current) return;
    if (response.status in REFUSALS) return forget(REFUSALS[response.status]);
    if (!response.ok) throw new Error(`status ${response.status}`);
    const status = await response.json();
    if (session !== current) return;
    show(status);
  } catch (error) {
    if (session !== current) return;
    find("problem").textContent = `The gateway's state cannot be read now: ${error.message}`;
  }
  current.timer = setTimeout(() => refresh(current), 1000 * REFRESH_SECONDS);
}

find("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = find("key").value.trim();
  if (!/^[!-~]+$/.test(key)) return forget("A key has no spaces, and letters of ASCII alone.");
  clearTimeout(session?.timer);
  session?.abort.abort();
  session = { key, abort: new AbortController(), timer: null };
  find("key").value = "";
  refresh(session);
});
find("forget").addEventListener("click", () => forget());
document.body.dataset.ready = "";
