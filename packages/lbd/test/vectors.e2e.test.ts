// The packets of test/vectors once more, as frames on wires: through XDP program, rings and the kernel's veth.
import { Daemon, Lab, labSuite, type Namespace } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { takeOut, type Vector, vectors } from '../src/testing/vectors.ts';

/** The largest MTU that an interface with an XDP program may have is less than VPP's; no packet here is larger than this. */
const MOST_MTU = 1600;

/**
 * Sends frames one after the other onto a wire, and prints for each what came back on all wires until they were quiet. The
 * kernel's own words at the other end (ARP, and of ICMPv6 neighbour discovery and group membership) are left out.
 */
const PLAY = `
import json, select, socket, sys, time
wires, port, packets = sys.argv[1].split(','), sys.argv[2], json.load(sys.stdin)
sockets = {}
for wire in wires:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((wire, 0))
    s.setblocking(False)
    sockets[wire] = s
def of_kernel(frame):
    kind, ip = frame[12:14], frame[14:]
    if kind == b'\\x08\\x06': return True
    if kind != b'\\x86\\xdd': return False
    at, following = 40, ip[6]
    if following == 0: at, following = 48, ip[40]
    return following == 58 and 130 <= ip[at] <= 143
def receive(quiet, wanted, most):
    frames, end = [], time.monotonic() + most
    while time.monotonic() < end:
        ready, _, _ = select.select(list(sockets.values()), [], [], quiet)
        for s in ready:
            data, address = s.recvfrom(65535)
            if address[2] != socket.PACKET_OUTGOING and not of_kernel(data): frames.append(data.hex())
        if not ready and len(frames) >= wanted: break
    return frames
receive(0.2, 0, 2)
out = []
for frame, wanted in packets:
    sockets[port].send(bytes.fromhex(frame))
    out.append(receive(0.01, wanted, 1.5))
print(json.dumps({'packets': out, 'late': receive(0.2, 0, 2)}))
`;

labSuite(describe, 'xdp', 'the vectors over AF_XDP', () => {
  describe.each(vectors())('$name', (vector) => {
    let lab: Lab;
    let lbd: Daemon;
    let out: string[][];
    let late: string[];

    beforeAll(async () => {
      lab = await Lab.create('vector');
      const host = await lab.namespace('lbd');
      const wires = await lab.namespace('wires');
      await setUp(lab, host, wires, vector);
      lbd = await start(lab, host, vector);
      const input = JSON.stringify(
        vector.packets.map(({ frame, sent }) => [Buffer.from(frame).toString('hex'), sent.length]),
      );
      const names = vector.setup.interfaces.map(({ name }) => wireOf(name)).join(',');
      const said = await wires.python(PLAY, [names, wireOf(vector.in)], { input, timeout: 60_000 });
      ({ packets: out, late } = JSON.parse(said));
    });

    afterAll(async () => {
      await lab?.destroy();
    });

    for (const [place, { title, sent }] of vector.packets.entries()) {
      it(title, () => {
        const left = [...out[place]!];
        takeOut(left, sent);
        expect(left).toEqual([]);
      });
    }

    it('and nothing afterwards', async () => {
      expect(late).toEqual([]);
      expect(await lbd.command('show interface')).toContain('native');
    });
  });
});

const wireOf = (name: string) => `${name}-wire`;

/** The interfaces of VPP, the neighbours that it was told of, and its routes. */
async function setUp(lab: Lab, host: Namespace, wires: Namespace, { setup }: Vector): Promise<void> {
  const { interfaces, neighbours, routes } = setup;
  for (const { name, mac, mtu, addresses } of interfaces) {
    const nodad = addresses.map((address) => `${address}${address.includes(':') ? ' nodad' : ''}`);
    await lab.link(host, wires, { a: { name, mac, addresses: nodad }, b: { name: wireOf(name) }, mtu: MOST_MTU });
    if (mtu < MOST_MTU) await host.ip(`link set ${name} mtu ${mtu}`);
    await wires.sysctl(`net.ipv6.conf.${wireOf(name)}.disable_ipv6`, 1);
  }
  await host.ip(
    ...neighbours.map(
      ({ address, mac, interface: port }) => `neigh replace ${address} lladdr ${mac} dev ${port} nud permanent`,
    ),
    ...routes.map(({ prefix, via, interface: port }) => `route add ${prefix} via ${via} dev ${port}`),
    // What is left to the kernel it should not answer with an ICMP error of its own.
    'route add blackhole ::/0',
  );
}

function start(lab: Lab, host: Namespace, { setup }: Vector): Promise<Daemon> {
  const interfaces = setup.interfaces.map(({ name }) => ({ name, driver: 'af_xdp', mode: 'native' }));
  return Daemon.start(host, { interfaces, commands: setup.commands }, { folder: lab.folder });
}
