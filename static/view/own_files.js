// Loads files of the page's own that are no modules. Nothing else can be made an address of a script.

const MATH = new URL("../vendor/temml/temml.min.js", import.meta.url).href;
const MATH_STYLE = new URL("../vendor/temml/Temml-Local.css", import.meta.url).href;
const WORKER = new URL("service_worker.js", document.baseURI).href;

const policy = globalThis.trustedTypes?.createPolicy("own-files", {
  createScriptURL(url) {
    if (url !== MATH && url !== WORKER) throw new TypeError(`${url} is no file of this page`);
    return url;
  },
});

const trust = (url) => policy?.createScriptURL(url) ?? url;

export const workerUrl = () => trust(WORKER);

/** Resolves to the library that sets math. */
export async function loadMathLibrary() {
  const script = document.createElement("script");
  script.src = trust(MATH);
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = MATH_STYLE;
  await Promise.all([load(script), load(style)]);
  return globalThis.temml;
}

function load(element) {
  return new Promise((resolve, reject) => {
    element.addEventListener("load", resolve);
    element.addEventListener("error", () => reject(new Error(`${element.src ?? element.href} did not load`)));
    document.head.append(element);
  });
}
