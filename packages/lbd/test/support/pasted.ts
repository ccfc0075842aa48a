import { readFileSync } from 'node:fs';

const PAGE = new URL('../../../../docs/encaps.md', import.meta.url);

/**
 * What docs/encaps.md says to type on a server: the shell block that contains `mark`, with other addresses in place of the
 * example's.
 */
export function pasted(mark: string, replace: Readonly<Record<string, string>>): string {
  const blocks = [...readFileSync(PAGE, 'utf8').matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block!);
  const block = blocks.find((text) => text.includes(mark));
  if (block === undefined) throw new Error(`docs/encaps.md has no shell block with "${mark}"`);
  return Object.entries(replace).reduce((text, [from, to]) => text.replaceAll(from, to), block);
}
