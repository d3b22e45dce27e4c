// Keeps the page in the browser, so that it opens without the gateway: what is kept there can be read then.
// Nothing that the gateway answers is kept. The server puts in the version, and the files of the first view.

const VERSION = "{{version}}";
const FILES = "{{files}}".split(" ");
const FOLDER = new URL(`static/${VERSION}/`, registration.scope).href;
const PAGE = registration.scope;
const WHATEVER_IT_ASKS = { ignoreVary: true }; // an origin or an encoding makes no other file of it

addEventListener("install", (event) => event.waitUntil(keepAll()));
addEventListener("activate", (event) => event.waitUntil(forgetOthers()));

addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  if (method !== "GET") return;
  if (mode === "navigate" && url.split(/[?#]/)[0] === PAGE) event.respondWith(openPage(event.request));
  else if (url.startsWith(FOLDER)) event.respondWith(openFile(event.request));
});

async function keepAll() {
  const cache = await caches.open(VERSION);
  const page = await fetch(PAGE, { redirect: "error" });
  // A proxy's sign-in page, or a page whose files are of another version, is not worth keeping.
  if (!page.ok || !(await page.clone().text()).includes(`static/${VERSION}/`)) throw new Error("another page");
  await cache.put(PAGE, page);
  await cache.addAll(FILES.map((file) => FOLDER + file));
}

async function forgetOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name !== VERSION).map((name) => caches.delete(name)));
}

async function openPage(request) {
  try {
    return await fetch(request);
  } catch (failure) {
    const kept = await caches.match(PAGE, WHATEVER_IT_ASKS);
    if (kept) return kept;
    throw failure;
  }
}

/** A file of this version never changes; one that is first needed now, as a grammar, is kept from now on. */
async function openFile(request) {
  const kept = await caches.match(request, WHATEVER_IT_ASKS);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok) await (await caches.open(VERSION)).put(request, response.clone());
  return response;
}
