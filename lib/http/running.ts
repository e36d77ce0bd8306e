/** The requests that are under way together: of one client, or of one signal. */
import type { Stop } from "./stop";

/** Where a request stands among the others; theirs to set. */
export interface Place {
  stop: Stop;
  at: number;
}

/**
 * An array and no Set, and one listener for many requests: what comes and goes all the time in a Set or among the
 * listeners of a signal leaves a chain of dead things behind, each keeping the next alive through every quick garbage
 * collection. That cost a third of a call and 100 MB.
 */
export class Running {
  readonly #places: Place[] = [];

  get isEmpty(): boolean {
    return this.#places.length === 0;
  }

  add(stop: Stop): Place {
    const place = { stop, at: this.#places.length };
    this.#places.push(place);
    return place;
  }

  delete(place: Place): void {
    const last = this.#places.pop();
    if (!last || last === place) return;
    this.#places[place.at] = last;
    last.at = place.at;
  }

  /** A copy: they leave while they are ended. */
  get all(): Stop[] {
    return this.#places.map(({ stop }) => stop);
  }
}
