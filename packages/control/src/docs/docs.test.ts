import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { commands } from '../cli/cli.ts';
import { parseConfig } from '../config/load.ts';
import { configJsonSchema } from '../config/schema.ts';
import { commandLineDocs } from './command-line.ts';
import { configurationDocs, EXAMPLE } from './configuration.ts';

const doc = (name: string) => readFileSync(new URL(`../../../../docs/${name}`, import.meta.url), 'utf8');

describe('the documentation (node packages/control/write-docs.mjs writes it)', () => {
  it('has every command', () => expect(doc('command-line.md')).toBe(commandLineDocs(commands)));
  it('has every key of the configuration', () =>
    expect(doc('configuration.md')).toBe(configurationDocs(configJsonSchema())));
  it('has an example that is good', () => expect(parseConfig(EXAMPLE).vips).toHaveLength(1));
});
