import { Arena } from '@lbd/memory';
import { describe, expect, it } from 'vitest';
import { defineEncap, describeOptions, ENCAP_API, type Encap, encapOptions } from './index.ts';

const good = {
  name: 'mine',
  summary: 'an encap of a test',
  vipFamilies: [4, 6],
  serverFamily: 4,
  overhead: 20,
  tunnel: { protocols: [4] },
  vip: { targetPort: 'refused', dscp: 'refused' },
  nodes: () => [],
} as const;

const define = (change: object) => () => defineEncap({ ...good, ...change } as unknown as Encap);

describe('defineEncap', () => {
  it('takes a good definition as it is, and states the version of the interface', () => {
    expect(defineEncap(good)).toEqual({ ...good, api: ENCAP_API });
    expect(defineEncap({ ...good, api: 7 }).api).toBe(7);
  });

  it.each<[string, object, RegExp]>([
    ['no name', { name: undefined }, /^encap \(without a name\): name is missing: must be in kebab case/],
    ['a name with blanks', { name: 'My Encap' }, /^encap My Encap: name "My Encap": must be in kebab case/],
    ['a field that does not exist', { server: 4 }, /^encap mine: field "server": must be one of api, name,/],
    ['no summary', { summary: '' }, /^encap mine: summary "": must be a line of text/],
    ['no families', { vipFamilies: [] }, /^encap mine: vipFamilies \[\]: must be \[4\], \[6\] or \[4, 6\]/],
    ['a family twice', { vipFamilies: [4, 4] }, /vipFamilies \[4, 4\]/],
    ['a family that is none', { vipFamilies: [5] }, /vipFamilies \[5\]/],
    ['a server family that is none', { serverFamily: '4' }, /serverFamily "4": must be 4 or 6/],
    ['an overhead below 0', { overhead: -1 }, /overhead -1: must be 0 to 200 bytes/],
    ['an overhead that is no whole number', { overhead: 20.5 }, /overhead 20.5/],
    ['an overhead beyond the headroom', { overhead: 201 }, /overhead 201/],
    ['a tunnel without room for its header', { overhead: 19 }, /overhead 19: must be 20 or more/],
    [
      'an IPv6 tunnel without room for its header',
      { serverFamily: 6, overhead: 39 },
      /overhead 39: must be 40 or more/,
    ],
    ['a tunnel without protocols', { tunnel: {} }, /tunnel.protocols is missing: must be a list of IP protocols/],
    ['a protocol that is none', { tunnel: { protocols: [256] } }, /tunnel.protocols \[256\]/],
    ['no needs', { vip: undefined }, /vip is missing: must be a mapping with targetPort and dscp/],
    [
      'a need that is none',
      { vip: { targetPort: 'maybe', dscp: 'refused' } },
      /vip.targetPort "maybe": must be 'required'/,
    ],
    ['a need that is left out', { vip: { targetPort: 'refused' } }, /vip.dscp is missing/],
    [
      'a need of something else',
      { vip: { ...good.vip, tos: 'required' } },
      /vip "tos": must be one of port, targetPort, dscp/,
    ],
    ['a port that is refused', { vip: { ...good.vip, port: 'refused' } }, /vip.port "refused"/],
    ['a target port without ports', { vip: { ...good.vip, targetPort: 'required' } }, /vip.targetPort "required"/],
    ['no nodes', { nodes: [] }, /nodes \[\]: must be a function/],
    ['allocate that is no function', { allocate: {} }, /allocate {...}: must be a function/],
    [
      'shortcuts without what they are instead of',
      { shortcuts: [{ node: 'my-express' }] },
      /shortcuts \[{...}\]: must be a list of shortcuts, each with node and instead/,
    ],
    [
      'features without nodes',
      { features: [{ arc: 'ip4-unicast' }] },
      /features \[{...}\]: must be a list of features/,
    ],
    [
      'features that pass VIPs perhaps',
      { features: [{ arc: 'ip4-unicast', node: 'mine', passesVips: 'yes' }] },
      /features.passesVips "yes": must be true, false, or left out/,
    ],
    ['a schema that is none', { options: { type: 'object' } }, /options {...}: must be a Standard Schema/],
  ])('refuses %s', (_, change, message) => {
    expect(define(change)).toThrow(TypeError);
    expect(define(change)).toThrow(message);
  });
});

/** A Standard Schema by hand, as any library's would be: `ttl`, 1 to 255, 64 unless told. */
const schema = {
  '~standard': {
    version: 1,
    vendor: 'test',
    async validate(value: unknown) {
      const { ttl = 64, ...others } = value as { ttl?: unknown };
      const unknown = Object.keys(others).map((key) => ({ message: `unknown key "${key}"` }));
      const wrong =
        typeof ttl === 'number' && ttl >= 1 && ttl <= 255 ? [] : [{ message: 'out of range', path: ['ttl'] }];
      const issues = [...unknown, ...wrong];
      return issues.length > 0 ? { issues } : { value: { ttl: ttl as number } };
    },
    jsonSchema: {
      input: () => ({
        type: 'object',
        properties: { ttl: { type: 'integer', minimum: 1, maximum: 255, default: 64 } },
      }),
    },
  },
} as const;

describe('options of an encap', () => {
  const encap = defineEncap({
    ...good,
    options: schema,
    allocate: (_arena, { ttl }) => ttl,
    nodes: () => [],
  });

  it('are what its schema makes of the configuration', async () => {
    expect(await encapOptions(encap)).toEqual({ ttl: 64 });
    expect(await encapOptions(encap, { ttl: 7 })).toEqual({ ttl: 7 });
    expect(encap.allocate?.(Arena.create(65536 * 32), { ttl: 7 }, { fib4: 0, fib6: 0 })).toBe(7);
  });

  it('are refused with the key, and with what is allowed', async () => {
    const refusal = encapOptions(encap, { ttl: 0, frob: 1 });
    await expect(refusal).rejects.toMatchObject({ code: 'LBD_LB_ENCAP_OPTIONS' });
    await expect(refusal).rejects.toThrow(
      'encaps.mine: unknown key "frob" (allowed: a mapping with ttl)\nencaps.mine.ttl: out of range (allowed: 1 to 255)',
    );
  });

  it('are refused by an encap that has none', async () => {
    expect(await encapOptions(defineEncap(good))).toEqual({});
    await expect(encapOptions(defineEncap(good), { ttl: 1 })).rejects.toThrow(
      'encaps.mine.ttl: encap mine has no options',
    );
  });

  it('can be listed', () => {
    expect(describeOptions(encap)).toEqual([{ name: 'ttl', allowed: '1 to 255', default: 64 }]);
    expect(describeOptions(defineEncap(good))).toEqual([]);
    const { jsonSchema: _, ...plain } = schema['~standard'];
    expect(describeOptions({ ...encap, options: { '~standard': plain } })).toBeUndefined();
  });
});
