import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const index = new URL('../dist/index.js', import.meta.url).href;

/** Runs code in a network namespace of its own, with loopback up, and returns what it prints, as JSON. */
function inNamespace(code: string): unknown {
  const script = `
    import dgram from 'node:dgram';
    const n = await import(${JSON.stringify(index)});
    const memory = new Uint8Array(new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true }).buffer);
    const hex = (at, length) => Buffer.from(memory.subarray(at, at + length)).toString('hex');
    const open = (more) => new n.PacketSocket({ name: 'lo', ifindex: n.interfaceIndex('lo'), ...more });
    const udp = dgram.createSocket('udp4');
    const sink = dgram.createSocket('udp4'); // or the kernel would answer that the port is unreachable
    await new Promise((resolve) => sink.bind(4000, '127.0.0.1', resolve));
    const say = (text, port = 4000) => new Promise((resolve) => udp.send(text, port, '127.0.0.1', resolve));
    const addresses = new Uint32Array(256).map((_, i) => i * 2048);
    const info = new Uint32Array(256 * n.PACKET_INFO_WORDS);
    const at = (packet, word) => info[packet * n.PACKET_INFO_WORDS + word];
    const receive = (socket, count = 256, capacity = 2048) => {
      n.poll(new Int32Array([socket.fd]), 1000);
      return socket.receive(memory, addresses, count, capacity, info);
    };
    const result = await (async () => { ${code} })();
    udp.close();
    sink.close();
    console.log(JSON.stringify(result));`;
  // the kernel takes 127.0.0.1 from a device only if told to
  const sysctl = ['lo/route_localnet', 'lo/accept_local'].map((name) => `echo 1 > /proc/sys/net/ipv4/conf/${name}`);
  const shell = ['ip link set lo up', ...sysctl, 'exec "$0" --input-type=module --eval "$1"'].join(' && ');
  const args = ['--net', 'sh', '-c', shell, process.execPath, script];
  return JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' }));
}

const root = process.getuid?.() === 0;

describe.skipIf(!root)(`PacketSocket${root ? '' : ' (needs root)'}`, () => {
  it('receives a vector of packets into the memory in one call, and says what they were', () => {
    const [none, count, packets] = inNamespace(`
      const socket = open();
      const none = socket.receive(memory, addresses, 256, 2048, info);
      for (const text of ['one', 'second', 'x'.repeat(3000)]) await say(text);
      const count = receive(socket);
      const packets = [0, 1, 2].map((i) => ({
        length: at(i, n.PACKET_INFO_LENGTH), wire: at(i, n.PACKET_INFO_WIRE_LENGTH), type: at(i, n.PACKET_INFO_TYPE),
        partial: (at(i, n.PACKET_INFO_STATUS) & n.TP_STATUS_CSUMNOTREADY) !== 0,
        payload: Buffer.from(memory.subarray(addresses[i] + 42, addresses[i] + Math.min(60, at(i, 0)))).toString(),
      }));
      return [none, count, packets];`) as [number, number, object[]];
    expect(none).toBe(0);
    expect(count).toBe(3);
    expect(packets).toEqual([
      { length: 45, wire: 45, type: 0, partial: true, payload: 'one' },
      { length: 48, wire: 48, type: 0, partial: true, payload: 'second' },
      { length: 2048, wire: 3042, type: 0, partial: true, payload: 'x'.repeat(18) },
    ]);
  });

  it('tells of offloads: where a partial checksum is', () => {
    expect(
      inNamespace(`
        const socket = open({ offloads: true });
        await say('one');
        const count = receive(socket);
        const [offload, segment, checksum] = [5, 6, 7].map((word) => at(0, word));
        return [count, at(0, 0), offload & 0xff, offload >> 8 & 0xff, segment >>> 16, checksum];`),
    ).toEqual([1, 45, 1, 0, 34, 6]);
  });

  it('sends a vector of packets out of the memory, and completes a checksum if told to', () => {
    // The same datagram with its pseudo-header sum only; the receiving socket takes it only if the checksum is right.
    const got = inNamespace(`
      const texts = [];
      sink.on('message', (m) => texts.push(m.toString()));
      const socket = open({ offloads: true });
      await say('to be copied', 3999);
      receive(socket);
      const length = at(0, 0);
      memory.set([4000 >> 8, 4000 & 255], 36);
      memory.copyWithin(2048, 0, length);
      const lengths = new Uint32Array(256).fill(length);
      const offloads = new Uint32Array([1, 34 << 16, 6, 1, 34 << 16, 6]);
      const sent = [socket.send(memory, addresses, lengths, 0, 2, offloads), socket.send(memory, addresses, lengths, 0, 1)];
      await new Promise((resolve) => setTimeout(resolve, 50));
      return { sent, texts };`);
    expect(got).toEqual({ sent: [2, 1], texts: ['to be copied', 'to be copied'] });
  });

  it('filters, from the first packet on', () => {
    // ldh [36] (UDP destination port); jeq #4000, accept, reject
    expect(
      inNamespace(`
        const filter = new Uint8Array(32);
        const view = new DataView(filter.buffer);
        [[0x28, 0, 0, 36], [0x15, 0, 1, 4000], [0x06, 0, 0, 0xffff], [0x06, 0, 0, 0]].forEach(([code, yes, no, k], i) => {
          view.setUint16(i * 8, code, true);
          filter[i * 8 + 2] = yes;
          filter[i * 8 + 3] = no;
          view.setUint32(i * 8 + 4, k, true);
        });
        const socket = open({ filter });
        for (const port of [3999, 4000, 4001, 4000]) await say('x', port);
        const count = receive(socket);
        return [count, socket.statistics()];`),
    ).toEqual([2, { packets: 2, drops: 0 }]);
  });

  it('refuses places outside the memory, and interfaces that are not there', () => {
    expect(
      inNamespace(`
        const codes = [];
        const attempt = (act) => { try { act(); codes.push('ok'); } catch (e) { codes.push(e.code); } };
        const socket = open();
        await say('one');
        addresses[3] = memory.length - 2047;
        attempt(() => receive(socket, 4));
        codes.push(socket.send(memory, new Uint32Array([memory.length - 59]), new Uint32Array([60]), 0, 1));
        attempt(() => socket.receive(memory, addresses, 4, 2048, new Uint32Array(8)));
        attempt(() => open({ ifindex: 99 }));
        attempt(() => receive(socket, 3));
        return codes;`),
    ).toEqual(['EFAULT', -14, 'EINVAL', 'ENODEV', 'ok']);
  });
});
