import { constructFromEvents, EVENT_ID, type Event, parseEvents, SCALAR_STYLE, YAMLException } from 'js-yaml';

/**
 * Reads a text of one YAML 1.2 document by the core schema: no timestamps, no merge keys, no tags but those of the schema.
 * @returns undefined if there is nothing in it
 * @throws YAMLException with the place
 */
export function readYaml(text: string): unknown {
  const events = parseEvents(text, {});
  const second = events.findIndex(({ type }, i) => i > 0 && type === EVENT_ID.DOCUMENT);
  if (second >= 0)
    YAMLException.throwAt(text, offsetOf(text, events[second + 1]!) ?? text.length, 'more than one document');
  refuseBomb(text, events);
  return constructFromEvents(events, { source: text })[0];
}

/**
 * How many values aliases may add: a million servers written once and used twice. They cost nothing in the text, nor when
 * it is read, but whatever looks at the values meets them again and again, and aliases of aliases multiply.
 */
const MOST_REPEATED = 4_000_000;

function refuseBomb(text: string, events: readonly Event[]): void {
  const sizes = new Map<string, number>();
  const open: { readonly anchor: string | undefined; readonly before: number }[] = [];
  let size = 0;
  let repeated = 0;
  for (const event of events) {
    if (event.type === EVENT_ID.POP) {
      const { anchor, before } = open.pop()!;
      if (anchor !== undefined) sizes.set(anchor, size - before);
    } else if (event.type === EVENT_ID.ALIAS) {
      const more = sizes.get(text.slice(event.anchorStart, event.anchorEnd)) ?? 0;
      size += more;
      repeated += more;
      if (repeated > MOST_REPEATED) {
        YAMLException.throwAt(text, offsetOf(text, event)!, `aliases repeat more than ${MOST_REPEATED} values`);
      }
    } else {
      const anchor = anchorOf(text, event);
      // What repeats itself has no end.
      if (anchor !== undefined) sizes.set(anchor, event.type === EVENT_ID.SCALAR ? 1 : Number.POSITIVE_INFINITY);
      if (event.type !== EVENT_ID.SCALAR) open.push({ anchor, before: size });
      size++;
    }
  }
}

function anchorOf(text: string, event: Event): string | undefined {
  if (!('anchorStart' in event) || event.anchorStart < 0) return undefined;
  return text.slice(event.anchorStart, event.anchorEnd);
}

/** Where a value begins. @returns undefined for one that is left out, such as that of `key:` */
export function offsetOf(text: string, event: Event): number | undefined {
  switch (event.type) {
    case EVENT_ID.SEQUENCE:
    case EVENT_ID.MAPPING:
      return event.start;
    case EVENT_ID.ALIAS:
      return event.anchorStart - 1;
    case EVENT_ID.SCALAR: {
      if (event.valueStart < 0) return undefined;
      if (event.style === SCALAR_STYLE.PLAIN) return event.valueStart;
      const isQuoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
      // The lines of a block scalar are indented.
      return isQuoted
        ? event.valueStart - 1
        : event.valueStart + Math.max(text.slice(event.valueStart).search(/\S/), 0);
    }
    default:
      return undefined;
  }
}
