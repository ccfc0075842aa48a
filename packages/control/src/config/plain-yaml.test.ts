import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineCounter, parseDocument, stringify } from 'yaml';
import { type Place, readPlainYaml } from './plain-yaml.ts';

const RUNS = 5000;

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [path, ...entries.flatMap(([key, inner]) => pathsOf(inner, [...path, key]))];
}

function placesOf(value: unknown): Place {
  const within = new Map<PropertyKey, Place>();
  if (typeof value === 'object' && value !== null) {
    const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
    for (const [key, inner] of entries) within.set(key, placesOf(inner));
  }
  return { within };
}

/** Holds what is read against what the library makes of it: values, and the lines that they are on. @returns whether it is plain */
function compare(text: string): boolean {
  const ours = readPlainYaml(text);
  if (!ours) return false;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  expect(document.errors, text).toEqual([]);
  expect(ours.value, text).toStrictEqual(document.toJS());
  const root = placesOf(ours.value);
  readPlainYaml(text, root);
  for (const path of pathsOf(ours.value)) {
    const place = path.reduce((at, part) => at.within.get(part)!, root);
    const node = (path.length === 0 ? document.contents : document.getIn(path, true)) as { range: readonly number[] };
    expect(lineAt(place.offset!), `${path.join('.')} of\n${text}`).toBe(lines.linePos(node.range[0]!).line);
  }
  return true;

  function lineAt(offset: number): number {
    return text.slice(0, offset).split('\n').length;
  }
}

const word = fc.constantFrom(
  ...[
    'a',
    'prefix',
    'x-y',
    'null',
    'True',
    'no',
    '~',
    '7',
    '-7',
    '1.5',
    '1e3',
    '0x1f',
    '0o17',
    '.inf',
    '10.0.0.1',
    '::1',
    '',
  ],
  ...[
    '2001:db8::/32',
    'fe80::',
    'a b',
    'a: b',
    'a #b',
    '#b',
    "it's",
    '"',
    'a\\b',
    'a,b',
    '[a]',
    'tcp port 80',
    '- a',
    'ä',
    '1 2',
  ],
);
const leaf = fc.oneof(word, fc.integer(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null));
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(word, tie('value'), { maxKeys: 4 }),
  ),
}));
const written = fc
  .tuple(
    value,
    fc.record({
      indent: fc.integer({ min: 1, max: 4 }),
      indentSeq: fc.boolean(),
      collectionStyle: fc.constantFrom('any' as const, 'block' as const, 'flow' as const),
      defaultStringType: fc.constantFrom('PLAIN' as const, 'QUOTE_DOUBLE' as const, 'QUOTE_SINGLE' as const),
      lineWidth: fc.constantFrom(20, 80),
    }),
  )
  .map(([root, options]) => stringify(root, options));

/** What may stand next to each other in a file, and what had better not. */
const pieces = fc.constantFrom(
  ...[
    'a',
    'b',
    'c:',
    'd: ',
    ': ',
    ':',
    '- ',
    '-',
    '[',
    ']',
    '{',
    '}',
    ',',
    ', ',
    '\n',
    '\n  ',
    '\n ',
    '\n    ',
    ' ',
    '  ',
  ],
  ...[
    '# n',
    ' # n',
    '"x"',
    "'y'",
    '"',
    "'",
    '7',
    '1.2.3.4',
    '::',
    'null',
    '...',
    '---',
    '~',
    '?',
    '? ',
    '&a',
    '*a',
    '!t',
    '|',
    '>',
  ],
  ...[
    '\t',
    '\r',
    '%',
    '@',
    '`',
    '\\',
    '=',
    '.',
    '/',
    '"k": ',
    '<<: ',
    '\n- ',
    '\nk: ',
    '\n  - ',
    '\n  k: ',
    '[a, b]',
    '{a: b}',
  ],
);
const soup = fc.array(pieces, { maxLength: 14 }).map((some) => some.join(''));
/** Lines that may fit together. */
const begin = fc.constantFrom(
  '',
  '- ',
  '-',
  'a:',
  'b: ',
  'c: ',
  'd:  ',
  '- e: ',
  '- - ',
  '-  f: ',
  '- g:',
  '"h": ',
  '}',
  '], ',
  '# ',
);
const scalar = fc.constantFrom(
  '',
  '1',
  'x',
  'y z',
  '"p"',
  "'q'",
  '10.0.0.1',
  '::1',
  'null',
  'r # s',
  ' # t',
  'u,',
  ' ',
);
const collection = fc.constantFrom(
  '[',
  '{',
  '[]',
  '{}',
  '[a, b]',
  '{a: b}',
  '{a: {b: [c, 1]}} # c',
  '[{a: 1,',
  'b: }',
  ']',
);
const line = fc
  .tuple(fc.integer({ min: 0, max: 4 }), begin, fc.oneof({ weight: 3, arbitrary: scalar }, collection))
  .map(([indent, ...parts]) => ' '.repeat(indent) + parts.join(''));
const lines = fc.array(line, { minLength: 1, maxLength: 6 }).map((some) => some.join('\n'));
const damaged = fc
  .tuple(written, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 2 }), pieces), { minLength: 1, maxLength: 3 }))
  .map(([text, changes]) =>
    changes.reduce((changed, [where, gone, piece]) => {
      const at = where % (changed.length + 1);
      return changed.slice(0, at) + piece + changed.slice(at + gone);
    }, text),
  );

describe('plain YAML', () => {
  it.each([
    ['blocks', 'a: 1\nb:\n  c: [x, {y: z}]\n  d:\n  - e: 10.0.0.1\n    f:\n  - - g\n    - h\ni: # no\n'],
    [
      'a file as people write it',
      '# all\n\ninterfaces:\n  - name: lan0 # the one\n    driver: af_xdp\n\nworkers: 2\nmemory: 1GiB',
    ],
    [
      'a line for each',
      'vips:\n - {prefix: "2001:db8::1/128", as: [{address: fe80::1, weight: 0}, {address: 10.0.0.1}]}\n',
    ],
    ['commands', "commands:\n- lb vip 10.0.0.0/8 protocol tcp port 80\n- 'lb as 10.0.0.0/8 10.1.0.1'\n"],
    ['brackets over lines', 'a:\n  [\n    {b: c}, # one\n\n    {b: d},\n  ]\ne: {\n f: g }\n'],
    ['JSON', JSON.stringify({ vips: [{ prefix: '10.0.0.0/8', src_ip_sticky: true, as: [] }] }, undefined, 2)],
    ['words with a meaning', 'a: true\nb: null\nc: 0x10\nd: 1e3\ne: 1.50\nf: 0o17\ng: 1.2.3\nh: 7:8\ni: "1"\nj: 010\n'],
  ])('reads %s as the library does', (_, text) => expect(compare(text)).toBe(true));

  it.each([
    ['an anchor', 'a: &x 1\nb: *x\n'],
    ['a tag', 'a: !!str 1\n'],
    ['a block scalar', 'a: |\n  b\n'],
    ['a scalar over lines', 'a: b\n  c\n'],
    ['an escape', 'a: "\\n"\n'],
    ['a key twice', 'a: 1\na: 2\n'],
    ['a key that has a meaning to JavaScript', '__proto__: 1\n'],
    ['a merge', 'a: {b: 1}\n<<: {c: 1}\n'],
    ['documents', 'a: 1\n---\nb: 1\n'],
    ['the end of a document', 'a: 1\n...\nb: 1\n'],
    ['a tab', 'a:\t1\n'],
    ['a bracket that is not closed', 'a: [1\n'],
    ['a bracket that is closed too far to the left', 'a: [\n  1\n]\n'],
    ['a line too far to the right', 'a: 1\n  b: 2\n'],
    ['nothing', ''],
    ['no end of brackets', '['.repeat(100_000)],
    ['no end of blocks', Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')],
  ])('leaves %s to the library', (_, text) => expect(readPlainYaml(text)).toBeUndefined());

  it('reads nothing otherwise than the library does', () => {
    let plain = 0;
    fc.assert(
      fc.property(fc.oneof(written, damaged, lines, soup), (text) => {
        if (compare(text)) plain++;
      }),
      { numRuns: RUNS },
    );
    expect(plain).toBeGreaterThan(RUNS / 50);
  });
});
