import * as fields from '../values/fields.ts';

/** What the kernel would say of interfaces, for drivers without a kernel. */
export const staticSchema = fields.record({
  interfaces: fields
    .list(
      fields.record({
        name: fields.interfaceName(),
        mac: fields.mac(),
        mtu: fields.integer(68, 65535).default(1500).describe('The largest IP packet that may leave, bytes.'),
        addresses: fields.list(fields.interfaceAddress(), 'addresses').default([]),
      }),
      'interfaces',
    )
    .default([]),
  neighbours: fields
    .list(
      fields.record({
        address: fields.anyAddress(),
        interface: fields.interfaceName(),
        mac: fields.mac(),
      }),
      'neighbours',
    )
    .default([]),
  routes: fields
    .list(
      fields.record({
        prefix: fields.prefix(),
        via: fields.anyAddress().optional().describe('The gateway; without one the prefix is on the link.'),
        interface: fields.interfaceName(),
      }),
      'routes',
    )
    .default([]),
});
