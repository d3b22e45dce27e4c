// Operations of the browser's database, as they go: what is wrong with it, and when the next one is tried.

const FIRST_PAUSE = 2_000; // milliseconds
const LAST_PAUSE = 60_000;

export class Attempts {
  problem = null; // the StorageError of the last operation, null if it succeeded
  #onChange;
  #onRetry;
  #pause = FIRST_PAUSE;
  #timer = null;

  /** `onChange()` is called when `problem` has changed, `onRetry()` some time after a failure. */
  constructor({ onChange, onRetry }) {
    this.#onChange = onChange;
    this.#onRetry = onRetry;
  }

  /** Resolves to `{value}`, null if the operation failed. */
  async make(operation) {
    try {
      const value = await operation();
      this.#pause = FIRST_PAUSE;
      this.#note(null);
      return { value };
    } catch (problem) {
      this.#note(problem);
      this.#retryLater();
      return null;
    }
  }

  #note(problem) {
    const isSame = problem?.message === this.problem?.message;
    this.problem = problem;
    if (!isSame) this.#onChange();
  }

  #retryLater() {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#onRetry();
    }, this.#pause);
    this.#pause = Math.min(2 * this.#pause, LAST_PAUSE);
  }
}
