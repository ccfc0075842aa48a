import { YAMLException } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { readYaml } from './yaml.ts';

/** What is wrong, with line and column from 1. */
function mistake(text: string): string {
  try {
    readYaml(text);
  } catch (error) {
    expect(error).toBeInstanceOf(YAMLException);
    const { reason, mark } = error as YAMLException;
    return `${mark!.line + 1}:${mark!.column + 1}: ${reason}`;
  }
  throw new Error('it was taken');
}

describe('YAML of a configuration', () => {
  /** YAML 1.2.2, 10.3.2: what the core schema makes of a plain scalar. */
  it.each<[string, unknown]>([
    ['', null],
    ['~', null],
    ['null', null],
    ['Null', null],
    ['NULL', null],
    ['nULL', 'nULL'],
    ['nil', 'nil'],
    ['true', true],
    ['True', true],
    ['TRUE', true],
    ['tRUE', 'tRUE'],
    ['false', false],
    ['False', false],
    ['FALSE', false],
    ['yes', 'yes'],
    ['No', 'No'],
    ['on', 'on'],
    ['OFF', 'OFF'],
    ['y', 'y'],
    ['0', 0],
    ['-0', -0],
    ['+12', 12],
    ['-19', -19],
    ['007', 7],
    ['010', 10],
    ['089', 89],
    ['0o17', 15],
    ['0o18', '0o18'],
    ['-0o17', '-0o17'],
    ['0O17', '0O17'],
    ['0x1f', 31],
    ['0x1F', 31],
    ['0X1f', '0X1f'],
    ['+0x1f', '+0x1f'],
    ['0x', '0x'],
    ['0b11', '0b11'],
    ['1_000', '1_000'],
    ['1,000', '1,000'],
    ['0.', 0],
    ['1.5', 1.5],
    ['-.5', -0.5],
    ['+0012.50', 12.5],
    ['1e3', 1000],
    ['1E+3', 1000],
    ['12e-1', 1.2],
    ['-1.e2', -100],
    ['.5e1', 5],
    ['.', '.'],
    ['e3', 'e3'],
    ['1e', '1e'],
    ['.inf', Number.POSITIVE_INFINITY],
    ['+.Inf', Number.POSITIVE_INFINITY],
    ['-.INF', Number.NEGATIVE_INFINITY],
    ['inf', 'inf'],
    ['.nan', Number.NaN],
    ['.NaN', Number.NaN],
    ['.NAN', Number.NaN],
    ['-.nan', '-.nan'],
    ['NaN', 'NaN'],
    ['12:30:45', '12:30:45'],
    ['190:20:30.15', '190:20:30.15'],
    ['02:00:00:00:00:01', '02:00:00:00:00:01'],
    ['2001-01-01', '2001-01-01'],
    ['2001-12-14t21:59:43.10-05:00', '2001-12-14t21:59:43.10-05:00'],
    ['2001', 2001],
    ['1.2.3', '1.2.3'],
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['::1', '::1'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['1::2:3', '1::2:3'],
    ['512MiB', '512MiB'],
    ['a b  c', 'a b  c'],
    ['a#b', 'a#b'],
    ['a #b', 'a'],
    ['a\t# b', 'a'],
    ['a:b', 'a:b'],
    ["it's", "it's"],
    ['<<', '<<'],
    ['=', '='],
    ['-a', '-a'],
    ['"7"', '7'],
    ["'7'", '7'],
    ["'~'", '~'],
    ["'it''s \\n'", "it's \\n"],
    ['"\\x41\\u00e4\\U0001f600\\t\\"\\\\\\/\\e"', 'Aä😀\t"\\/\x1b'],
    ['""', ''],
    ['!!str 7', '7'],
    ['! 7', '7'],
    ['!!int "7"', 7],
    ['!!null ""', null],
  ])('reads %j', (scalar, value) => {
    expect(readYaml(`a: ${scalar}\n`)).toEqual({ a: value });
    if (!/[:,]|\t#| #/.test(scalar)) expect(readYaml(`[${scalar || '~'}, ${scalar || '~'}]`)).toEqual([value, value]);
  });

  /** YAML 1.2.2, chapters 6 to 9. */
  it.each<[string, string, unknown]>([
    ['nothing', '', undefined],
    ['nothing but comments', '# a\n\n  # b\n', undefined],
    ['an empty document', '---\n...\n', null],
    ['the marks of a document', '%YAML 1.2\n---\na: 1\n...\n# the end\n', { a: 1 }],
    ['CRLF', 'a:\r\n  - 1\r\n  - b c\r\n\r\nd: |\r\n  x\r\n  y\r\n', { a: [1, 'b c'], d: 'x\ny\n' }],
    ['CR', 'a:\r  b: 1\rc: 2', { a: { b: 1 }, c: 2 }],
    ['a byte order mark', '\ufeffa: 1\n', { a: 1 }],
    ['tabs that separate', 'a:\t1\t# b\nc:\t"d"\ne: [1]\t\n\t\nf: g\th', { a: 1, c: 'd', e: [1], f: 'g\th' }],
    ['dashes below the key', 'a:\n- 1\n-\n- - 2\n  - 3\nb:\n', { a: [1, null, [2, 3]], b: null }],
    ['plain over lines', 'a: b\n  c\n\n  d\ne: f', { a: 'b c\nd', e: 'f' }],
    ['quoted over lines', 'a: "b\n  c\\\n  d\n\n  e"\nf: \'g\n  h\'', { a: 'b cd\ne', f: 'g h' }],
    ['a literal', 'a: |\n  b\n   c\n\nd: |-\n  e\nf: |+\n  g\n\n', { a: 'b\n c\n', d: 'e', f: 'g\n\n' }],
    ['folded', 'a: >\n  b\n  c\n\n  d\n', { a: 'b c\nd\n' }],
    ['anchors', 'a: &x {b: 1}\nc: *x\nd: [*x, &y 2, *y]', { a: { b: 1 }, c: { b: 1 }, d: [{ b: 1 }, 2, 2] }],
    ['an anchor again', 'a: &x 1\nb: *x\nc: &x 2\nd: *x', { a: 1, b: 1, c: 2, d: 2 }],
    ['no merge key', 'a: &x {b: 1}\nc: {<<: *x}', { a: { b: 1 }, c: { '<<': { b: 1 } } }],
    ['JSON', '{"a":[1,-2.5e1,"b\\n",null,true],"c":{"d":[]}}', { a: [1, -25, 'b\n', null, true], c: { d: [] } }],
    ['brackets over lines', 'a: {\n  b: [1,\n    2],\n  c: ,\n  d,\n }', { a: { b: [1, 2], c: null, d: null } }],
    ['pairs in brackets', '[a: 1, ? b : 2, c]', [{ a: 1 }, { b: 2 }, 'c']],
    ['explicit keys', '? a\n: 1\n? b\n', { a: 1, b: null }],
    ['keys that are no strings', '1: a\n~: b\n0x10: c\ntrue: d', { 1: 'a', null: 'b', 16: 'c', true: 'd' }],
    ['keys in quotes', '"a b": 1\n\'c\' : 2', { 'a b': 1, c: 2 }],
  ])('reads %s', (_, text, value) => expect(readYaml(text)).toEqual(value));

  it('takes __proto__ for a key as any other', () => {
    const value = readYaml('__proto__: {polluted: 1}\nconstructor: {prototype: {polluted: 1}}') as object;
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect('polluted' in {}).toBe(false);
  });

  it.each<[string, string, RegExp]>([
    ['a key twice', 'a: 1\nb: 2\na: 3', /^3:1: duplicated/],
    ['a key twice in brackets', 'a: {b: 1, "b": 2}', /^1:12: duplicated/],
    ['__proto__ twice', '__proto__: 1\n__proto__: 2', /^2:1: duplicated/],
    ['two documents', 'a: 1\n---\nb: 2\n', /^3:1: more than one document/],
    ['an empty second document', 'a: 1\n---\n', /^3:1: more than one document/],
    ['an unknown tag', 'a: 1\nb: !c 2', /^2:4: unknown scalar tag !<!c>/],
    ['an unknown tag of a mapping', 'a: !c {}', /^1:4: unknown mapping tag/],
    ['binary', 'a: !!binary aGk=', /^1:4: unknown scalar tag/],
    ['a time', 'a: !!timestamp 2001-01-01', /^1:4: unknown scalar tag/],
    ['a tag that does not fit', 'a: !!int b', /^1:4: cannot resolve/],
    ['an unknown alias', 'a: *b', /^1:\d: unidentified alias "b"/],
    ['an open bracket', 'a: [1,', /^1:7: unexpected end/],
    ['an open quote', 'a: "b', /^1:6: unexpected end/],
    // 8.2.3: a flow node in a block is indented further than the block.
    ['a closing bracket below its key', 'a: [\n  1,\n]', /^3:1: deficient/],
    ['brackets further to the left', 'a:\n  - {b: 1,\n  c: 2}', /^3:3: deficient/],
    // The library goes beyond the specification there.
    ['a tab in brackets', 'a: [1,\t2]', /^1:\d: deficient/],
    ['a tab before brackets', 'a:\t[1]', /^1:\d: deficient/],
    ['a colon at the end', 'a: ::', /^1:5: /],
    ['a bracket too many', 'a: [1]]', /^1:7: /],
    ['no comma', 'a: [{b: 1} {c: 2}]', /^1:12: missed comma/],
    ['a tab that indents', 'a:\n\tb: 1', /^2:1: tab characters/],
    ['a line too far to the right', 'a: 1\n  b: 2', /^2:4: /],
    ['a line too far to the left', 'a:\n  b: 1\n c: 2', /^3:2: /],
    ['an unknown escape', 'a: "\\q"', /^1:6: unknown escape/],
    ['a control character', 'a: b\x01', /^1:5: .* non-printable/],
    ['a NUL', 'a: b\0c', /^1:5: null byte/],
    ['a reserved character', 'a: @b', /^1:4: /],
    ['a mapping for a key', '{a: 1}: 2', /^1:1: .* complex keys/],
  ])('refuses %s', (_, text, message) => expect(mistake(text)).toMatch(message));

  describe('bounds', () => {
    it('nests a hundred deep', () => {
      expect(mistake('['.repeat(100_000))).toMatch(/^1:100: nesting/);
      expect(mistake(Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'))).toMatch(
        /^100:100: nesting/,
      );
      expect(mistake('- '.repeat(1000))).toMatch(/nesting/);
      expect(readYaml('['.repeat(90) + ']'.repeat(90))).toBeInstanceOf(Array);
    });

    it('takes a list for many', () => {
      const text = `a: &a [1, 2]\nb: [${Array(500).fill('*a').join(',')}]`;
      expect(readYaml(text)).toEqual({ a: [1, 2], b: Array(500).fill([1, 2]) });
    });

    it('refuses aliases of aliases that grow beyond all bounds', () => {
      const laughs = (times: number, levels: number) =>
        Array.from({ length: levels }, (_, i) => `a${i}: &a${i} [${Array(times).fill(i ? `*a${i - 1}` : 'lol')}]`);
      expect(mistake(laughs(9, 9).join('\n'))).toMatch(/^7:30: aliases repeat more than 4000000 values/);
      expect(mistake(laughs(2, 2000).join('\n'))).toMatch(/aliases repeat/);
      expect(readYaml(laughs(9, 6).join('\n'))).toMatchObject({ a0: Array(9).fill('lol') });
    });

    it('counts what aliases really repeat', () => {
      const text = (times: number) => `a: &a [${Array(1999).fill('b')}]\nc: [${Array(times).fill('*a')}]`;
      expect(readYaml(text(2000))).toBeInstanceOf(Object);
      expect(mistake(text(2001))).toMatch(/^2:6005: aliases repeat/);
    });

    it.each(['a: &a [*a]', 'a: &a {b: {c: *a}}', 'a: &a [&b [*a], *b]'])('refuses %s, which has no end', (text) =>
      expect(mistake(text)).toMatch(/aliases repeat/),
    );
  });
});
