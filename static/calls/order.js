/**
 * Answers that overtake one another: what an older question was told is not to be shown over what a newer one was told.
 */
export class Order {
  #asked = 0;
  #shown = 0;

  /** Call with each question. @returns {() => boolean} call with its answer: whether that may be shown */
  ask() {
    this.#asked += 1;
    const number = this.#asked;
    return () => {
      if (number < this.#shown) return false;
      this.#shown = number;
      return true;
    };
  }
}
