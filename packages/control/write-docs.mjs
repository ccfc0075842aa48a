// Writes docs/command-line.md and docs/configuration.md from the tables in dist/. Run it after a change to one of them.
import { writeFileSync } from 'node:fs';
import { commandLineDocs } from './dist/docs/command-line.js';
import { configurationDocs } from './dist/docs/configuration.js';
import { commands, configJsonSchema } from './dist/index.js';

const docs = new URL('../../docs/', import.meta.url);
writeFileSync(new URL('command-line.md', docs), commandLineDocs(commands));
writeFileSync(new URL('configuration.md', docs), configurationDocs(configJsonSchema()));
