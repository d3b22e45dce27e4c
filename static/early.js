// Runs before the modules have come. The page is light or dark from its first paint, as the reader chose. A question that
// is sent meanwhile waits for the modules, and is not swallowed.

try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "system";
} catch {
  // the browser keeps nothing
}

document.addEventListener("submit", (event) => {
  event.preventDefault(); // the page's own forms go nowhere by themselves
  if (!("ready" in document.body.dataset)) document.body.dataset.sending = "";
});

document.addEventListener("keydown", (event) => {
  const isReady = "ready" in document.body.dataset;
  if (isReady || event.target.id !== "question" || event.key !== "Enter" || event.shiftKey) return;
  if (event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

// A module that cannot be loaded, or fails as it starts, leaves a page that does nothing: it has to say so.
const showBroken = () => {
  const words = document.getElementById("broken");
  if (words && !("ready" in document.body.dataset)) words.hidden = false;
};
addEventListener("error", showBroken, true);
addEventListener("unhandledrejection", showBroken);
