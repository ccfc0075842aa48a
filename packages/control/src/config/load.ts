import { readFileSync } from 'node:fs';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { ControlError } from '../errors.ts';
import { type Place, readPlainYaml } from './plain-yaml.ts';
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
  const plain = readPlainYaml(text);
  const document = plain ? undefined : parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [broken] = document?.errors ?? [];
  if (broken) {
    throw new ControlError('LBD_CONFIG_INVALID', `${name}:${lines.linePos(broken.pos[0]).line}: ${broken.message}`);
  }
  const result = configSchema.safeParse((plain ? plain.value : document!.toJS()) ?? {});
  if (result.success) return result.data;
  const paths = result.error.issues.map(({ path }) => path);
  const lineOf = document ? linesOfNodes(document, lines) : linesOfPlaces(text, paths);
  const messages = result.error.issues.map(({ path, message }) => {
    const line = lineOf(path);
    return `${name}${line === undefined ? '' : `:${line}`}: ${pathText(path)}${message}`;
  });
  throw new ControlError('LBD_CONFIG_INVALID', messages.join('\n'));
}

type Path = readonly PropertyKey[];

/** The line of the value at a path, or of the nearest one around it. */
type LineOf = (path: Path) => number | undefined;

function linesOfNodes(document: Document, lines: LineCounter): LineOf {
  return (path) => {
    for (let depth = path.length; depth > 0; depth--) {
      const node = document.getIn(path.slice(0, depth), true) as { range?: readonly number[] | null } | undefined;
      if (node?.range) return lines.linePos(node.range[0]!).line;
    }
    return undefined;
  };
}

/** Reads plain YAML once more, now with an eye on where the values at these paths are. */
function linesOfPlaces(text: string, paths: readonly Path[]): LineOf {
  const root: Place = { within: new Map() };
  for (const path of paths) {
    let place = root;
    for (const part of path) {
      const next: Place = place.within.get(part) ?? { within: new Map() };
      place.within.set(part, next);
      place = next;
    }
  }
  readPlainYaml(text, root);
  const lines = new LineCounter();
  for (let at = 0; at >= 0; at = text.indexOf('\n', at) + 1 || -1) lines.addNewLine(at);
  return (path) => {
    let found: number | undefined;
    let place: Place | undefined = root;
    for (const part of path) {
      place = place?.within.get(part);
      found = place?.offset ?? found;
    }
    return found === undefined ? undefined : lines.linePos(found).line;
  };
}

/** `vips[0].port: ` */
function pathText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return '';
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return `${text.replace(/^\./, '')}: `;
}
