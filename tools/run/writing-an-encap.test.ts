// docs/writing-an-encap.md shows nothing that is not in a file that is tested, or run.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../packages/control/dist/index.js';
import { ROOT } from './process.mjs';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const document = read('docs/writing-an-encap.md');
const blocks = [...document.matchAll(/(?:<!-- (\S+) -->\n\n)?```(\w+)\n(.*?)```/gs)].map(
  ([, from, language, text]) => ({
    from,
    language: language!,
    text: text!,
  }),
);

describe('docs/writing-an-encap.md', () => {
  it.each(blocks.map(({ text, from, language }) => [text.split('\n')[0]!.trim(), from, language, text]))(
    'shows what is there: %s',
    (_, from, language, text) => {
      expect(from, 'a comment in front of the block names the file it is from').toBeDefined();
      // What is run is run by encap-ipip.e2e.test.ts.
      if (from !== 'run') expect(read(from!)).toContain(text);
      if (language === 'yaml')
        expect(parseConfig(`interfaces: [{name: a, driver: pcap}]\n${text}`).vips).toHaveLength(1);
    },
  );

  it('has examples', () => expect(blocks.length).toBeGreaterThan(6));
});
