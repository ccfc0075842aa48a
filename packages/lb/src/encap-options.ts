import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Encap } from './encap.ts';
import { LbError } from './errors.ts';

/** An option of an encap, as far as its schema can say it (those of zod 4.2 and later can). */
export interface EncapOption {
  readonly name: string;
  /** What is allowed, in words; empty if the schema does not say. */
  readonly allowed: string;
  readonly default?: unknown;
  readonly description?: string;
}

/**
 * What an encap's schema makes of the configuration's `encaps.<name>`.
 * @param given undefined if there is no such key
 * @throws LbError LBD_LB_ENCAP_OPTIONS, with a line for each thing that is wrong
 */
export async function encapOptions(encap: Encap, given?: unknown): Promise<unknown> {
  const key = `encaps.${encap.name}`;
  const { options: schema } = encap;
  if (schema === undefined) {
    const [first] = Object.keys((given as object | undefined) ?? {});
    if (first === undefined) return {};
    throw new LbError('LBD_LB_ENCAP_OPTIONS', `${key}.${first}: encap ${encap.name} has no options`);
  }
  const result = await schema['~standard'].validate(given ?? {});
  if (!result.issues) return result.value;
  const lines = result.issues.map((issue) => `${[key, ...pathOf(issue)].join('.')}: ${messageOf(schema, issue)}`);
  throw new LbError('LBD_LB_ENCAP_OPTIONS', lines.join('\n'));
}

/** The options that an encap's schema lists; undefined if it can't. */
export function describeOptions({ options: schema }: Encap): EncapOption[] | undefined {
  if (schema === undefined) return [];
  const properties = jsonSchemaOf(schema)?.properties;
  if (properties === undefined) return undefined;
  return Object.entries(properties).map(([name, property]) => {
    const { default: value, description } = property;
    return {
      name,
      allowed: allowedBy(property),
      ...(value === undefined ? {} : { default: value }),
      ...(description === undefined ? {} : { description }),
    };
  });
}

/** A JSON schema, as far as it is looked at. */
interface Property {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Property>>;
}

function jsonSchemaOf(schema: StandardSchemaV1): Property | undefined {
  const { jsonSchema } = schema['~standard'] as { jsonSchema?: { input(options: { target: string }): Property } };
  try {
    return jsonSchema?.input({ target: 'draft-2020-12' });
  } catch {
    return undefined; // it has parts that no JSON schema can express
  }
}

function allowedBy({ enum: words, type, minimum, maximum, properties }: Property): string {
  if (words) return words.join(' or ');
  if (properties) return `a mapping with ${Object.keys(properties).join(', ')}`;
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  return type === 'boolean' ? 'true or false' : (type ?? '');
}

function pathOf({ path = [] }: StandardSchemaV1.Issue): string[] {
  return path.map((part) => String(typeof part === 'object' ? part.key : part));
}

/** The schema's own words, and what is allowed in that place if the schema can say so. */
function messageOf(schema: StandardSchemaV1, issue: StandardSchemaV1.Issue): string {
  let property = jsonSchemaOf(schema);
  for (const part of pathOf(issue)) property = property?.properties?.[part];
  const allowed = property === undefined ? '' : allowedBy(property);
  return allowed === '' ? issue.message : `${issue.message} (allowed: ${allowed})`;
}
