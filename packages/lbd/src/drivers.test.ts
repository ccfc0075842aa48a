import { configJsonSchema } from '@lbd/control';
import { expect, it } from 'vitest';
import { loadDriver } from './drivers.ts';

/** A JSON schema of a number, word, text or flag. */
interface Schema {
  readonly type?: string;
  readonly enum?: readonly (string | number)[];
  readonly minimum?: number;
  readonly maximum?: number;
}

interface Options {
  readonly properties: Readonly<Record<string, Schema & { readonly const?: string }>>;
}

/** What it lets through, as far as both say it: a power of two is a list here and a range there. */
function allowed({ type = 'string', enum: values, minimum, maximum }: Schema): unknown {
  if (type === 'integer') return [minimum ?? values!.at(0), maximum ?? values!.at(-1)];
  return values ?? type;
}

const { interfaces } = (configJsonSchema() as { properties: { interfaces: { items: { oneOf: Options[] } } } })
  .properties;
const variants = interfaces.items.oneOf.map(({ properties }) => [properties.driver!.const!, properties] as const);

it('knows the drivers of the configuration', () => {
  expect(variants.map(([driver]) => driver)).toEqual(['af_xdp', 'af_packet', 'pcap']);
});

it.each(variants)('%s has the options that the configuration has for it', async (name, properties) => {
  const { driver: _driver, name: _name, queues: _queues, ...configured } = properties;
  const own = (await loadDriver(name)).options as unknown as Options;
  const told = (all: Options['properties']) =>
    Object.fromEntries(Object.entries(all).map(([option, schema]) => [option, allowed(schema)]));
  expect(told(configured)).toEqual(told(own.properties));
});
