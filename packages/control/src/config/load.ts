import { readFileSync } from 'node:fs';
import { YAMLException } from 'js-yaml';
import { ControlError } from '../errors.ts';
import { type Position, positionsIn } from './positions.ts';
import { configSchema, type LbdConfig } from './schema.ts';
import { readYaml } from './yaml.ts';

/**
 * Reads and checks a configuration file.
 * @throws ControlError LBD_CONFIG_UNREADABLE; LBD_CONFIG_INVALID, with a line for each thing that is wrong: where, and what
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
  const result = configSchema.safeParse(readText(text, name) ?? {});
  if (result.success) return result.data;
  const { issues } = result.error;
  const positionOf = positionsIn(
    text,
    issues.map(({ path }) => path),
  );
  const messages = issues.map(
    ({ path, message }) => `${placeText(name, positionOf(path))}: ${pathText(path)}${message}`,
  );
  throw new ControlError('LBD_CONFIG_INVALID', messages.join('\n'));
}

/** The library says no more of the mistake that is made most with brackets over several lines. */
const DEFICIENT = 'deficient indentation';
const DEFICIENT_HOW =
  'a bracket or quote is not closed, or a line of it, the closing one too, does not begin further to the right than ' +
  'the key before it, or a tab separates where only spaces may';

function readText(text: string, name: string): unknown {
  try {
    return readYaml(text);
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { reason, mark } = error;
    const position = mark && { line: mark.line + 1, column: mark.column + 1 };
    const what = reason === DEFICIENT ? `${reason}: ${DEFICIENT_HOW}` : reason;
    throw new ControlError('LBD_CONFIG_INVALID', `${placeText(name, position)}: ${what}`);
  }
}

/** `lbd.yaml:5:11`, as compilers write it */
function placeText(name: string, position: Position | undefined): string {
  return position ? `${name}:${position.line}:${position.column}` : name;
}

/** `vips[0].port: ` */
function pathText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return '';
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return `${text.replace(/^\./, '')}: `;
}
