/** A JSON schema, as far as ours go. */
interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly description?: string;
}

const INTRODUCTION = `# The configuration file

<!-- The reference is written by packages/control/write-docs.mjs from the schema; a test holds both together, and reads the example. -->

\`lbd --config lbd.yaml\` reads one YAML file; \`lbd --check-config --config lbd.yaml\` only checks it. A key that is not known is
refused, and every mistake is named with line, column and what is allowed. Editors that know JSON schemas find one in
\`@lbd/control/lbd.schema.json\`.

The file is one document of [YAML 1.2](https://yaml.org/spec/1.2.2/) (or JSON) in the core schema: \`yes\`, \`12:30\` and \`2001-01-01\`
are strings, \`010\` is ten, and \`<<\` merges nothing. A key twice and a tag outside the schema are mistakes. Brackets may go over
several lines, each of which, also that of the closing bracket, begins further to the right than the key before, and has no
tabs between its values (JSON may have them). Collections nest up to 100 deep, and aliases repeat 4,000,000 values at most.

## Example

`;

export const EXAMPLE = `interfaces:
  - name: wan0 # clients come in here
    driver: af_xdp
  - name: lan0 # the servers are here
    driver: af_xdp
workers: 1
memory: 1GiB
control:
  socket: /run/lbd/lbd.sock
lb:
  buckets: 65536
  timeout: 40
vips:
  - prefix: 10.10.2.2/32
    protocol: tcp
    port: 8080
    encap: nat4
    target_port: 80
    as:
      - address: 192.168.1.1
      - address: 192.168.1.2
        weight: 50
nat:
  nat4: [lan0] # replies of the servers come in here
commands:
  - lb as 10.10.2.2/32 protocol tcp port 8080 192.168.1.3
`;

/** docs/configuration.md. */
export function configurationDocs(schema: object): string {
  const header = ['key', 'value', 'unless told', 'what it is'];
  const reference = markdownTable([header, ...properties(schema as Schema, '')]);
  return `${INTRODUCTION}\`\`\`yaml\n${EXAMPLE}\`\`\`\n\n## Reference\n\n${reference}\n`;
}

/** As the formatter lays it out. */
function markdownTable([header, ...rows]: readonly string[][]): string {
  const widths = header!.map((_, i) => Math.max(...[header!, ...rows].map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(header!), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function* properties(schema: Schema, path: string): Generator<string[]> {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (property.const !== undefined) continue;
    const key = path === '' ? name : `${path}.${name}`;
    yield [
      `\`${key}\``,
      allowedValues(property),
      defaultOf(property, schema.required?.includes(name) ?? false),
      property.description ?? '',
    ];
    yield* properties(property, key);
    if (property.items) yield* properties(property.items, `${key}[]`);
    for (const variant of property.items?.oneOf ?? []) {
      const driver = variant.properties?.driver?.const ?? '';
      yield [`\`${key}[].driver\``, `\`${driver}\``, 'required', variant.description ?? ''];
      yield* properties(variant, `${key}[]`);
    }
  }
}

function allowedValues({ type, items, enum: words, minimum, maximum }: Schema): string {
  if (words) return words.map((word) => `\`${word}\``).join(', ');
  if (type === 'array') return items?.type === 'string' ? 'list of text' : 'list';
  if (type === 'integer') return `${minimum} to ${maximum}`;
  if (type === 'boolean') return '`true`, `false`';
  return type === 'object' ? 'mapping' : 'text';
}

function defaultOf({ default: value, type }: Schema, required: boolean): string {
  if (value === undefined || type === 'object' || type === 'array')
    return required && value === undefined ? 'required' : '';
  return `\`${value}\``;
}
