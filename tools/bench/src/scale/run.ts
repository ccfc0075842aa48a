/** One measurement in a process of its own, so that memory is its own: node --expose-gc run.js <name> <size>. Prints JSON. */
import { MEASURES } from './measures.ts';

const [name, size] = process.argv.slice(2);
const measure = MEASURES.find((one) => one.name === name);
if (!measure) throw new Error(`measurement ${name}: there are ${MEASURES.map((one) => one.name).join(', ')}`);
console.log(JSON.stringify(await measure.run(Number(size))));
