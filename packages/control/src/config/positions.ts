import { constructFromEvents, EVENT_ID, type Event, parseEvents } from 'js-yaml';
import { offsetOf } from './yaml.ts';

/** Keys of mappings and indices of sequences, from the outside in. */
export type Path = readonly PropertyKey[];

/** Both count from 1, columns in UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A value that is asked for, or one around it. */
interface Place {
  position?: Position;
  readonly within: Map<string, Place>;
}

/**
 * Reads a text, which `readYaml` has read without an error, once more for where the values at these paths are.
 * @returns the position of the value at one of them, or of the nearest around it that is in the text
 */
export function positionsIn(text: string, paths: readonly Path[]): (path: Path) => Position | undefined {
  const root: Place = { within: new Map() };
  for (const path of paths) {
    let place = root;
    for (const part of path.map(String)) {
      const next: Place = place.within.get(part) ?? { within: new Map() };
      place.within.set(part, next);
      place = next;
    }
  }
  findPlaces(text, root);
  return (path) => {
    let found: Position | undefined;
    let place: Place | undefined = root;
    for (const part of path) {
      place = place?.within.get(String(part));
      found = place?.position ?? found;
    }
    return found;
  };
}

/** What is being read. In a mapping keys and values take turns. */
interface Collection {
  readonly type: Event['type'];
  /** Undefined if nothing within is asked for. */
  readonly place: Place | undefined;
  count: number;
  key?: string | undefined;
}

function findPlaces(text: string, root: Place): void {
  const events = parseEvents(text, {});
  const lines = new Lines(text);
  const open: Collection[] = [];
  for (const event of events) {
    if (event.type === EVENT_ID.POP) {
      open.pop();
      continue;
    }
    const place = event.type === EVENT_ID.DOCUMENT ? undefined : placeOf(event, open.at(-1)!);
    if (event.type !== EVENT_ID.SCALAR && event.type !== EVENT_ID.ALIAS)
      open.push({ type: event.type, place, count: 0 });
  }

  function placeOf(event: Event, parent: Collection): Place | undefined {
    if (parent.type === EVENT_ID.DOCUMENT) return root;
    if (!parent.place) return undefined;
    const { within } = parent.place;
    const isKey = parent.type === EVENT_ID.MAPPING && parent.count % 2 === 0;
    if (isKey) parent.key = event.type === EVENT_ID.SCALAR ? keyOf(event) : undefined;
    const key = parent.type === EVENT_ID.MAPPING ? parent.key : String(parent.count);
    parent.count++;
    const place = key === undefined ? undefined : within.get(key);
    const offset = offsetOf(text, event);
    // The key is where a value that is left out would be.
    if (place && offset !== undefined) place.position = lines.positionOf(offset);
    return place;
  }

  function keyOf(event: Event): string {
    return String(constructFromEvents([events[0]!, event, { type: EVENT_ID.POP }], { source: text })[0]);
  }
}

/** Tells lines and columns of offsets that only grow. */
class Lines {
  readonly #text: string;
  readonly #breaks = /\r\n?|\n/g;
  #line = 1;
  #begin = 0;
  #next: number;

  constructor(text: string) {
    this.#text = text;
    this.#next = this.#findNext();
  }

  positionOf(offset: number): Position {
    while (this.#next <= offset) {
      this.#line++;
      this.#begin = this.#next;
      this.#next = this.#findNext();
    }
    return { line: this.#line, column: offset - this.#begin + 1 };
  }

  #findNext(): number {
    return this.#breaks.test(this.#text) ? this.#breaks.lastIndex : Number.POSITIVE_INFINITY;
  }
}
