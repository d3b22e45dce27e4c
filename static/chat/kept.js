// Small things that the browser keeps: choices for good, the gateway's key for the tab's session.
// A browser that keeps nothing has them until the page is left.

const forgotten = new Map();

const keeper = (open) => ({
  get(name) {
    try {
      return open().getItem(name);
    } catch {
      return forgotten.get(name) ?? null;
    }
  },

  set(name, value) {
    try {
      open().setItem(name, value);
    } catch {
      forgotten.set(name, value);
    }
  },
});

export const choices = keeper(() => localStorage);
export const session = keeper(() => sessionStorage);
