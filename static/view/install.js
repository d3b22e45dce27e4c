// The page as an app: it opens without the gateway, and can be installed where the browser offers that.

import { find } from "./elements.js";

const WORKER = new URL("service_worker.js", document.baseURI).href;

/** Has the browser keep the page's files. Where it can't, as over plain HTTP, the page works as before. */
export async function keepPage() {
  if (!navigator.serviceWorker) return;
  const policy = globalThis.trustedTypes?.createPolicy("service-worker", { createScriptURL: () => WORKER });
  await navigator.serviceWorker.register(policy?.createScriptURL("") ?? WORKER).catch(() => {});
}

/** Shows the button to install when the browser says that it can be done. */
export function offerToInstall() {
  const button = find("install");
  let offer = null;
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault(); // the button asks, when the reader wants it
    offer = event;
    button.hidden = false;
  });
  button.addEventListener("click", () => offer?.prompt());
  addEventListener("appinstalled", () => (button.hidden = true));
}
