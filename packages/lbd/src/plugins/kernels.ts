import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const DATA_SECTION = 11;

/**
 * Checks a file of kernels: all modules share one memory, so that none may bring data of its own or ask for more than the
 * memory.
 * @throws Error that names the file
 */
export async function checkKernels(url: URL): Promise<void> {
  const file = fileURLToPath(url);
  const fail = (why: string): never => {
    throw new Error(`kernels ${file}: ${why}`);
  };
  const bytes = await readFile(url).catch((error: Error) => fail(`can't be read: ${error.message}`));
  const module = await WebAssembly.compile(bytes).catch((error: Error) => fail(`are no WebAssembly: ${error.message}`));
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (from === 'env' && name === 'memory' && kind === 'memory') continue;
    fail(`import ${kind} ${from}.${name}: nothing but the memory, env.memory, is there (build them with lbd-kernels)`);
  }
  if (hasSection(bytes, DATA_SECTION)) {
    fail('have static data (a string, a static array, a literal): the memory is shared by all modules');
  }
}

/** Whether a WebAssembly module has a section (WebAssembly core specification, section 5.5.2). */
function hasSection(bytes: Uint8Array, id: number): boolean {
  let at = 8;
  while (at < bytes.length) {
    const section = bytes[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      size |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (section === id) return true;
    at += size;
  }
  return false;
}
