// Small things that the browser keeps: choices for good, the gateway's key for the tab's session.
// A browser that keeps nothing has them until the page is left.

const forgotten = new Map();

const keeper = (open) => ({
  get(name) {
    try {
      return forgotten.get(name) ?? open().getItem(name);
    } catch {
      return forgotten.get(name) ?? null;
    }
  },

  set(name, value) {
    try {
      open().setItem(name, value);
      forgotten.delete(name);
    } catch {
      forgotten.set(name, value);
    }
  },

  remove(name) {
    forgotten.delete(name);
    try {
      open().removeItem(name);
    } catch {
      // it is not kept
    }
  },
});

export const ALWAYS_SHOWN = "facts"; // a choice: to see the facts under every answer
export const NAMED_BY_MODEL = "titles"; // a choice: to have a model find the titles

export const choices = keeper(() => localStorage);
export const session = keeper(() => sessionStorage);
