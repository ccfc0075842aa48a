// Writes dist/lbd.schema.json from the schema that dist/ checks with. Run by `pnpm build`, after the compiler.
import { writeFileSync } from 'node:fs';
import { configJsonSchema } from './dist/index.js';

writeFileSync(new URL('./dist/lbd.schema.json', import.meta.url), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
