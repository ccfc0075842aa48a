import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { ControlError } from '../errors.ts';
import { configSchema, type LbdConfig } from './schema.ts';

/**
 * Reads and checks a configuration file.
 * @throws ControlError LBD_CONFIG_UNREADABLE; LBD_CONFIG_INVALID, with a line for each thing that is wrong
 */
export function loadConfig(path: string): LbdConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ControlError('LBD_CONFIG_UNREADABLE', `can't read the configuration: ${(error as Error).message}`);
  }
  return parseConfig(text, path);
}

/** Checks the text of a configuration file. @param name what errors call the file */
export function parseConfig(text: string, name = 'lbd.yaml'): LbdConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [broken] = document.errors;
  if (broken) {
    throw new ControlError('LBD_CONFIG_INVALID', `${name}:${lines.linePos(broken.pos[0]).line}: ${broken.message}`);
  }
  const result = configSchema.safeParse(document.toJS() ?? {});
  if (result.success) return result.data;
  const messages = result.error.issues.map(({ path, message }) => {
    const line = lineOf(path);
    return `${name}${line === undefined ? '' : `:${line}`}: ${pathText(path)}${message}`;
  });
  throw new ControlError('LBD_CONFIG_INVALID', messages.join('\n'));

  /** The line of the value at the path, or of the nearest one around it. */
  function lineOf(path: readonly PropertyKey[]): number | undefined {
    for (let depth = path.length; depth > 0; depth--) {
      const node = document.getIn(path.slice(0, depth), true) as { range?: readonly number[] | null } | undefined;
      if (node?.range) return lines.linePos(node.range[0]!).line;
    }
    return undefined;
  }
}

/** `vips[0].port: ` */
function pathText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return '';
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return `${text.replace(/^\./, '')}: `;
}
