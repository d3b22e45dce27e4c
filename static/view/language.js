// The page's language: the browser's, until the reader chooses one. The server sends the page in it, so the choice is
// in a cookie, which goes nowhere but to the gateway.

import { say } from "../words.js";
import { find } from "./elements.js";

const COOKIE = "gateway_language";
const YEAR_SECONDS = 31_536_000;

/** `isBusy()` is asked whether loading the page anew would lose something. */
export function startLanguage({ isBusy }) {
  const select = find("language");
  select.value = document.cookie.match(`(?:^|; )${COOKIE}=(\\w+)`)?.[1] ?? "";
  select.addEventListener("change", () => {
    const seconds = select.value ? YEAR_SECONDS : 0;
    const { pathname } = new URL(".", document.baseURI);
    document.cookie = `${COOKIE}=${select.value}; path=${pathname}; max-age=${seconds}; samesite=lax`;
    if (isBusy()) find("language-note").textContent = say("language.later");
    else location.reload();
  });
}
