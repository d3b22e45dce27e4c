// The page as an app: it opens without the gateway, and can be installed where the browser offers that.

import { find } from "./elements.js";
import { workerUrl } from "./own_files.js";

/** Has the browser keep the page's files. Where it can't, as over plain HTTP, the page works as before. */
export async function keepPage() {
  if (!navigator.serviceWorker) return;
  await navigator.serviceWorker.register(workerUrl()).catch(() => {});
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
