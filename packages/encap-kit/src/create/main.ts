#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { createEncap } from './create.ts';

const USAGE = `Usage: create-encap [--tarballs <folder>] <name>

Writes a package for lbd with an encap of that name, in kebab case, into a new folder of that name.
  --tarballs <folder>   take lbd's packages from tarballs instead of the registry
`;

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: 'boolean' }, tarballs: { type: 'string' } },
  });
  const [folder, ...more] = positionals;
  if (values.help) process.stdout.write(USAGE);
  else if (folder === undefined || more.length > 0) throw new Error(`one name is needed\n\n${USAGE}`);
  else {
    const files = createEncap(folder, values.tarballs === undefined ? {} : { tarballs: values.tarballs });
    process.stdout.write(
      `${files.map((file) => `${folder}/${file}`).join('\n')}\n\nNow: cd ${folder} && npm install && npm test\n`,
    );
  }
} catch (error) {
  process.stderr.write(`create-encap: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
