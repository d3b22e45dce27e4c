// The API reference: `openapi.json` as a page to read. All text goes in as text, never as HTML.

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) made[property] = value;
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
const idOf = (method, path) => `${method}-${path}`.replace(/[^A-Za-z0-9]+/g, "-");

/** The examples of a media type or parameter, as pairs of name and value. */
function examplesOf({ example, examples }) {
  if (example !== undefined) return [["Example", example]];
  return Object.entries(examples ?? {}).map(([name, { summary, value }]) => [summary ?? name, value]);
}

function showContent(content = {}) {
  return Object.entries(content).flatMap(([mediaType, media]) => {
    const schema = media.schema?.$ref?.split("/").at(-1);
    const link = schema ? element("a", { href: `#schema-${schema}` }, schema) : null;
    const examples = examplesOf(media).map(([name, value]) =>
      element("details", {}, element("summary", {}, name), element("pre", {}, asText(value))),
    );
    return [element("p", {}, element("code", {}, mediaType), link ? " " : "", link), ...examples];
  });
}

function showParameters(parameters = []) {
  if (!parameters.length) return [];
  const rows = parameters.map(({ name, in: place, required, schema, description }) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", {}, name)),
      element("td", {}, place),
      element("td", {}, required ? "required" : `default: ${JSON.stringify(schema?.default ?? null)}`),
      element("td", {}, description ?? schema?.type ?? ""),
    ),
  );
  return [element("h3", {}, "Parameters"), element("div", { className: "scroll" }, element("table", {}, ...rows))];
}

function showOperation(method, path, operation) {
  const heading = element("span", { className: "method" }, method.toUpperCase());
  const responses = Object.entries(operation.responses ?? {}).flatMap(([status, { description, content }]) => [
    element("h4", {}, status),
    element("p", {}, description ?? ""),
    ...showContent(content),
  ]);
  const body = operation.requestBody ? [element("h3", {}, "Request body"), ...showContent(operation.requestBody.content)] : [];
  return element(
    "section",
    { id: idOf(method, path) },
    element("h2", {}, heading, " ", element("code", {}, path)),
    element("p", {}, operation.description ?? operation.summary ?? ""),
    ...showParameters(operation.parameters),
    ...body,
    element("h3", {}, "Responses"),
    ...responses,
  );
}

function showSchema(name, schema) {
  const described = element("p", {}, schema.description ?? "");
  const whole = element("details", {}, element("summary", {}, "JSON schema"), element("pre", {}, asText(schema)));
  return element("section", { id: `schema-${name}` }, element("h2", {}, element("code", {}, name)), described, whole);
}

function show({ info, paths, components }) {
  document.getElementById("title").textContent = `${info.title} ${info.version}: API reference`;
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method in item).map((method) => [method, path, item[method]]),
  );
  const links = operations.map(([method, path]) =>
    element("li", {}, element("a", { href: `#${idOf(method, path)}` }, `${method.toUpperCase()} ${path}`)),
  );
  document.getElementById("contents").append(element("ul", {}, ...links));
  document.getElementById("operations").append(
    ...operations.map((operation) => showOperation(...operation)),
    ...Object.entries(components?.schemas ?? {}).map((schema) => showSchema(...schema)),
  );
}

async function start() {
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`openapi.json: status ${response.status}`);
  show(await response.json());
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

start().catch((error) => {
  document.getElementById("operations").append(element("p", { role: "alert" }, `The reference cannot be shown: ${error.message}`));
}).finally(() => { document.body.dataset.ready = ""; });
