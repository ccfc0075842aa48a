import { describe, expect, it } from 'vitest';
import { type Path, positionsIn } from './positions.ts';

function position(text: string, path: Path): string | undefined {
  const found = positionsIn(text, [path])(path);
  return found && `${found.line}:${found.column}`;
}

describe('the position of a value', () => {
  it.each<[string, string, Path, string | undefined]>([
    ['in a mapping', 'a: 1\nb: 2\n', ['b'], '2:4'],
    ['in a sequence', 'a:\n  - 1\n  - 22\n', ['a', 1], '3:5'],
    ['in brackets', 'a: [{b: 1}, {c: 3, b: 2}]', ['a', 1, 'b'], '1:23'],
    ['of a mapping in a sequence', 'a:\n  - b: 1\n    c: 2\n', ['a', 0], '2:5'],
    ['of a block', 'a:\n  b:\n    c: 1\n', ['a', 'b'], '3:5'],
    ['in quotes', `a: "b\\n"\nc: 'd'`, ['c'], '2:4'],
    ['of a text in a block: its first line', 'a: |\n\n  b\n  c\nd: 1', ['a'], '3:3'],
    ['after a text in a block', 'a: |\n  b\n  c\nd: 1', ['d'], '4:4'],
    ['after a text over lines', 'a: b\n  c\nd: [e\n f, 1]', ['d', 1], '4:5'],
    ['behind an anchor and a tag', 'a: &b !!str c', ['a'], '1:13'],
    ['of an alias', 'a: &b [1]\nc: *b', ['c'], '2:4'],
    ['within an alias: the alias', 'a: &b [1]\nc: *b', ['c', 0], '2:4'],
    ['that is left out: its key', 'a: 1\nb:\nc: 3', ['b'], '2:1'],
    ['that is missing: what is around it', 'a:\n  - b: 1\n', ['a', 0, 'c'], '2:5'],
    ['that is missing at the top', 'a: 1', ['b'], undefined],
    ['left out in a sequence: what is around it', 'a:\n  - 1\n  -\n', ['a', 1], '2:3'],
    ['of all', 'a: 1', [], undefined],
    ['in nothing', '', ['a'], undefined],
    ['after a key that is no string', '1: a\n0x10: {~: b}', ['16', 'null'], '2:11'],
    ['after a mapping like it', 'x: {a: 1}\ny: {a: {a: 2}}', ['y', 'a', 'a'], '2:12'],
    ['after explicit keys', '? a\n: 1\n? b\n: 2', ['b'], '4:3'],
    ['of a pair in brackets', '[a: 1, b: 2]', [1, 'b'], '1:11'],
    ['named __proto__', 'a: 1\n__proto__: 2', ['__proto__'], '2:12'],
    ['with CRLF', 'a: 1\r\n\r\nb:\r\n  - 2\r\n', ['b', 0], '4:5'],
    ['with CR', 'a: 1\rb: 2', ['b'], '2:4'],
    ['after the mark of a document', '%YAML 1.2\n--- # a\na: 1', ['a'], '3:4'],
    ['after characters beyond 16 bits', 'a: [😀, b]', ['a', 1], '1:9'],
  ])('%s', (_, text, path, expected) => expect(position(text, path)).toBe(expected));

  it('is found for many at once', () => {
    const text = Array.from({ length: 300 }, (_, i) => `- {a: ${i}, b: [x, y]}`).join('\n');
    const paths = Array.from({ length: 300 }, (_, i) => [299 - i, 'b', i % 2]);
    const positionOf = positionsIn(text, paths);
    for (const [item, key, index] of paths) {
      const line = text.split('\n')[item as number]!;
      expect(positionOf([item!, key!, index!])).toEqual({
        line: (item as number) + 1,
        column: line.indexOf(index === 0 ? 'x' : 'y') + 1,
      });
    }
  });
});
