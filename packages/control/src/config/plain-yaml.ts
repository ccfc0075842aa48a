/**
 * Reads YAML that uses nothing but its plain parts: mappings and sequences in blocks or in brackets, scalars on one line,
 * comments. Big configurations are written so, and the library takes a minute and gigabytes for what this reads in a second:
 * it makes an object of every token. Whatever else there is (anchors, tags, block scalars, escapes, tabs, mistakes) is not
 * read here but by the library, which has the last word: what is read here, it would read the same.
 */
import { parse } from 'yaml';

/** Asks for the place of a value, and of those within it; `readPlainYaml` fills in the offsets of what there is. */
export interface Place {
  offset?: number;
  readonly within: Map<PropertyKey, Place>;
}

/** @returns the value, or undefined if the text is not so plain */
export function readPlainYaml(text: string, places?: Place): { readonly value: unknown } | undefined {
  try {
    return { value: new PlainYaml(text).document(places) };
  } catch (error) {
    if (error === NOT_PLAIN) return undefined;
    throw error;
  }
}

const NOT_PLAIN = new Error('not plain YAML');

/** A name, which is a string in any place; the colon must not be part of it. */
const KEY = /[A-Za-z_][\w.-]{0,99}(?=:(?:[ \n]|$))/y;
/** In brackets a scalar of one word, elsewhere of several. A colon belongs to it if more of it follows at once. */
const WORD = /[A-Za-z0-9_/](?:[\w./+-]|:(?=[\w./+:-]))*/y;
const WORDS = /[A-Za-z0-9_/](?:[\w./+,=()-]|:(?=[\w./+:-])| +(?=[\w./+,=()-]))*/y;
/** Without escapes and on one line. */
const QUOTED = /"[^"\\\n]*"|'[^'\n]*'(?!')/y;
const SPACES = / */y;
const COMMENT = /#[^\n]*/y;

/** What is no number and no other word with a meaning: addresses, prefixes, names. */
const TEXT = /[:/]|\.[^.]*\.|^(?!(?:null|true|false)$)[a-z_]/i;
const SPECIAL_KEY = /^(?:null|true|false|__proto__)$/i;

/** Nobody nests so deep; whoever does must not exhaust the stack. */
const MOST_DEPTH = 50;

class PlainYaml {
  readonly #text: string;
  #at = 0;
  /** After nextLine(): the column of what comes next, -1 at the end. */
  #column = -1;
  #depth = 0;
  /** Scalars that only the library can judge. */
  readonly #scalars = new Map<string, unknown>();

  constructor(text: string) {
    if (/[\t\r\ufeff]/.test(text)) throw NOT_PLAIN;
    this.#text = text;
  }

  document(place: Place | undefined): unknown {
    this.#skipLines();
    if (this.#column < 0) throw NOT_PLAIN;
    const value = this.#block(this.#column, -1, place);
    // A line too far to the right belongs to nothing, and ends everything around it.
    if (this.#column !== -1) throw NOT_PLAIN;
    return value;
  }

  // ---- Blocks ------------------------------------------------------------------------------------------------------

  /** What begins at a column of its own. @param parent the column of what it belongs to */
  #block(column: number, parent: number, place: Place | undefined): unknown {
    if (++this.#depth > MOST_DEPTH) throw NOT_PLAIN;
    if (place) place.offset = this.#at;
    let value: unknown;
    if (this.#isDash()) value = this.#blockSequence(column, place);
    else if (this.#isBracket()) {
      value = this.#bracket(parent, place);
      this.#nextLine();
    } else value = this.#blockMapping(column, place);
    this.#depth--;
    return value;
  }

  #blockMapping(column: number, place: Place | undefined): object {
    const mapping: Record<string, unknown> = {};
    do {
      const key = this.#key(mapping);
      mapping[key] = this.#value(column, true, place?.within.get(key));
    } while (this.#column === column);
    return mapping;
  }

  #blockSequence(column: number, place: Place | undefined): unknown[] {
    const items: unknown[] = [];
    do {
      this.#at++;
      items.push(this.#value(column, false, place?.within.get(items.length)));
    } while (this.#column === column && this.#isDash());
    return items;
  }

  /** What follows a colon, or the dash of an item, up to the next line. @param column of the mapping or sequence */
  #value(column: number, inMapping: boolean, place: Place | undefined): unknown {
    if (place) place.offset = this.#at;
    const begin = this.#at;
    this.#skip(SPACES);
    const code = this.#code();
    if (this.#isEnd(code) || code === HASH) {
      this.#nextLine(begin);
      const isDeeper = this.#column > column;
      // The dashes of a sequence may stand below the key.
      const isBelow = inMapping && this.#column === column && this.#isDash();
      return isDeeper || isBelow ? this.#block(this.#column, column, place) : null;
    }
    if (place) place.offset = this.#at;
    if (!inMapping && (this.#isDash() || this.#matches(KEY))) {
      return this.#block(column + 1 + this.#at - begin, column, place);
    }
    const value = this.#isBracket() ? this.#bracket(column, place) : this.#scalar(WORDS);
    this.#nextLine();
    return value;
  }

  /** Skips what may stand at the end of a line, and lines without content. @param blankFrom where blanks before a comment begin */
  #nextLine(blankFrom = this.#at): void {
    this.#skip(SPACES);
    const code = this.#code();
    if (code === HASH) {
      if (this.#at === blankFrom) throw NOT_PLAIN;
    } else if (!this.#isEnd(code)) throw NOT_PLAIN;
    this.#skip(COMMENT);
    this.#at++;
    this.#skipLines();
  }

  #skipLines(): void {
    while (this.#at < this.#text.length) {
      const begin = this.#at;
      this.#skip(SPACES);
      const code = this.#code();
      this.#column = this.#at - begin;
      if (code !== HASH && !this.#isEnd(code)) return;
      this.#skip(COMMENT);
      this.#at++;
    }
    this.#column = -1;
  }

  // ---- Brackets ----------------------------------------------------------------------------------------------------

  /** A mapping or sequence in brackets. @param parent every line of it must begin beyond this column */
  #bracket(parent: number, place: Place | undefined): unknown {
    if (++this.#depth > MOST_DEPTH) throw NOT_PLAIN;
    const isSequence = this.#code() === OPEN_SEQUENCE;
    const close = isSequence ? CLOSE_SEQUENCE : CLOSE_MAPPING;
    const items: unknown[] = [];
    const mapping: Record<string, unknown> = {};
    this.#at++;
    this.#skipBlank(parent);
    while (this.#code() !== close) {
      if (isSequence) {
        items.push(this.#bracketValue(parent, place?.within.get(items.length)));
      } else {
        const key = this.#key(mapping);
        this.#skipBlank(parent);
        mapping[key] = this.#bracketValue(parent, place?.within.get(key));
      }
      this.#skipBlank(parent);
      if (this.#code() === COMMA) {
        this.#at++;
        this.#skipBlank(parent);
      } else if (this.#code() !== close) throw NOT_PLAIN;
    }
    this.#at++;
    this.#depth--;
    return isSequence ? items : mapping;
  }

  #bracketValue(parent: number, place: Place | undefined): unknown {
    if (place) place.offset = this.#at;
    return this.#isBracket() ? this.#bracket(parent, place) : this.#scalar(WORD);
  }

  /** Skips blanks, ends of lines and comments between brackets. */
  #skipBlank(parent: number): void {
    if (this.#code() === SPACE) {
      this.#skip(SPACES);
      if (this.#code() === HASH) this.#skip(COMMENT);
    }
    while (this.#code() === NEWLINE) {
      const begin = ++this.#at;
      this.#skip(SPACES);
      const isBlank = this.#code() === NEWLINE;
      if (!isBlank && this.#at - begin <= parent) throw NOT_PLAIN;
      this.#skip(COMMENT);
    }
  }

  // ---- Scalars -----------------------------------------------------------------------------------------------------

  /** The key that comes, up to and with its colon. */
  #key(mapping: object): string {
    let key: string;
    if (this.#isQuote()) {
      key = this.#quoted();
      if (this.#code() !== COLON) throw NOT_PLAIN;
      const next = this.#text.charCodeAt(this.#at + 1);
      if (next !== SPACE && next !== NEWLINE) throw NOT_PLAIN;
      if (!/^[A-Za-z_][\w.-]*$/.test(key)) throw NOT_PLAIN;
    } else {
      if (!this.#matches(KEY)) throw NOT_PLAIN;
      key = this.#text.slice(this.#at, KEY.lastIndex);
      this.#at = KEY.lastIndex;
    }
    if (SPECIAL_KEY.test(key) || Object.hasOwn(mapping, key)) throw NOT_PLAIN;
    this.#at++;
    return key;
  }

  #scalar(plain: RegExp): unknown {
    if (this.#isQuote()) return this.#quoted();
    if (!this.#matches(plain)) throw NOT_PLAIN;
    const text = this.#text.slice(this.#at, plain.lastIndex);
    this.#at = plain.lastIndex;
    if (TEXT.test(text)) return text;
    let value = this.#scalars.get(text);
    if (value === undefined) {
      value = parse(text);
      this.#scalars.set(text, value);
    }
    return value;
  }

  #quoted(): string {
    if (!this.#matches(QUOTED)) throw NOT_PLAIN;
    const text = this.#text.slice(this.#at + 1, QUOTED.lastIndex - 1);
    this.#at = QUOTED.lastIndex;
    return text;
  }

  // ---- Characters --------------------------------------------------------------------------------------------------

  #code(): number {
    return this.#text.charCodeAt(this.#at);
  }

  #isEnd(code: number): boolean {
    return code === NEWLINE || this.#at >= this.#text.length;
  }

  #isDash(): boolean {
    if (this.#code() !== DASH) return false;
    const next = this.#text.charCodeAt(this.#at + 1);
    return next === SPACE || next === NEWLINE || this.#at + 1 >= this.#text.length;
  }

  #isBracket(): boolean {
    const code = this.#code();
    return code === OPEN_SEQUENCE || code === OPEN_MAPPING;
  }

  #isQuote(): boolean {
    const code = this.#code();
    return code === DOUBLE_QUOTE || code === SINGLE_QUOTE;
  }

  #matches(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    return pattern.test(this.#text);
  }

  #skip(pattern: RegExp): void {
    if (this.#matches(pattern)) this.#at = pattern.lastIndex;
  }
}

const codeOf = (character: string) => character.charCodeAt(0);
const SPACE = codeOf(' ');
const NEWLINE = codeOf('\n');
const HASH = codeOf('#');
const COLON = codeOf(':');
const COMMA = codeOf(',');
const DASH = codeOf('-');
const OPEN_SEQUENCE = codeOf('[');
const CLOSE_SEQUENCE = codeOf(']');
const OPEN_MAPPING = codeOf('{');
const CLOSE_MAPPING = codeOf('}');
const DOUBLE_QUOTE = codeOf('"');
const SINGLE_QUOTE = codeOf("'");
