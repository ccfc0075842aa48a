import { execFileSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import {
  adviseHugePages,
  bpfMapCreate,
  close,
  EventFd,
  interfaceIndex,
  interfaceMtu,
  NetlinkSocket,
  poll,
  SystemError,
  unmap,
  Watch,
} from './index.ts';

const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const buffer = memory.buffer as unknown as SharedArrayBuffer;

const failure = (act: () => unknown): SystemError => {
  try {
    act();
  } catch (error) {
    return error as SystemError;
  }
  throw new Error('it did not fail');
};

describe('memory', () => {
  it('maps zeroed pages over a part of a WebAssembly memory, and views of it see them', () => {
    const all = new Uint8Array(buffer).fill(0xa5);
    unmap(all.subarray(8192, 16384));
    expect(all[8191]).toBe(0xa5);
    expect(all.subarray(8192, 16384).every((byte) => byte === 0)).toBe(true);
    expect(all[16384]).toBe(0xa5);
  });

  it('refuses what is not page-aligned', () => {
    expect(failure(() => unmap(new Uint8Array(buffer, 100, 4096))).code).toBe('EINVAL');
  });

  it('takes advice on huge pages', () => {
    expect(adviseHugePages(new Uint8Array(buffer))).toBeTypeOf('boolean');
  });
});

describe('poll and eventfd', () => {
  it('wakes a thread that sleeps in poll', async () => {
    const event = new EventFd();
    const index = new URL('../dist/index.js', import.meta.url).href;
    const code = `
      const { parentPort, workerData } = require('node:worker_threads');
      import(${JSON.stringify(index)}).then(({ poll, EventFd }) => {
        parentPort.postMessage('sleeping');
        const ready = poll(new Int32Array([workerData]), 10000);
        parentPort.postMessage({ ready, drained: new EventFd(workerData).drain() });
      });`;
    const worker = new Worker(code, { eval: true, workerData: event.fd });
    const messages: unknown[] = [];
    await new Promise<void>((resolve) => {
      worker.on('message', (message) => {
        messages.push(message);
        if (message === 'sleeping') setTimeout(() => event.signal(), 20);
        else resolve();
      });
    });
    await worker.terminate();
    expect(messages).toEqual(['sleeping', { ready: 1, drained: true }]);
    expect(poll(new Int32Array([event.fd]), 0)).toBe(0);
    expect(event.drain()).toBe(false);
    event.close();
  });

  it('watches a file descriptor on the event loop, until it is stopped', async () => {
    const event = new EventFd();
    let calls = 0;
    const first = await new Promise<boolean>((resolve) => {
      const watch = new Watch(event.fd, () => {
        calls++;
        const drained = event.drain();
        watch.stop();
        watch.stop();
        resolve(drained);
      });
      event.signal();
    });
    expect(first).toBe(true);
    event.signal();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(calls).toBe(1);
    event.close();
  });

  it('lets a worker thread end with a watch still open', async () => {
    const index = new URL('../dist/index.js', import.meta.url).href;
    const code = `import(${JSON.stringify(index)}).then(({ EventFd, Watch }) => {
      new Watch(new EventFd().fd, () => {});
      require('node:worker_threads').parentPort.postMessage('open');
    });`;
    const worker = new Worker(code, { eval: true });
    await new Promise((resolve) => worker.on('message', resolve));
    expect(await worker.terminate()).toBe(1);
  });
});

describe('netlink', () => {
  it('asks the kernel for an interface and is told', async () => {
    const socket = new NetlinkSocket({ groups: [1] });
    // RTM_GETLINK of interface 1, RFC 3549: header of 16 bytes, struct ifinfomsg of 16
    const request = new Uint8Array(32);
    const view = new DataView(request.buffer);
    view.setUint32(0, 32, true);
    view.setUint16(4, 18, true);
    view.setUint16(6, 1, true);
    view.setUint32(8, 7, true);
    view.setInt32(20, 1, true);
    const room = new Uint8Array(8192);
    expect(socket.receive(room)).toBeUndefined();
    const ready = new Promise<void>((resolve) => socket.watch(resolve));
    socket.send(request);
    await ready;
    const size = socket.receive(room) as number;
    const answer = new DataView(room.buffer);
    expect(size).toBeGreaterThan(32);
    expect(answer.getUint32(0, true)).toBe(size);
    expect(answer.getUint16(4, true)).toBe(16); // RTM_NEWLINK
    expect(answer.getUint32(8, true)).toBe(7);
    expect(new TextDecoder().decode(room.subarray(0, size))).toContain('lo\0');
    expect(socket.receive(room.subarray(0, 4))).toBeUndefined();
    socket.close();
  });
});

describe('interfaces', () => {
  it('tells what ip tells', () => {
    const [link] = JSON.parse(execFileSync('ip', ['-j', 'link', 'show', 'lo'], { encoding: 'utf8' }));
    expect(interfaceIndex('lo')).toBe(link.ifindex);
    expect(interfaceMtu('lo')).toBe(link.mtu);
  });
});

describe('errors', () => {
  it('say which call failed, on what, and what to do', () => {
    const error = failure(() => interfaceIndex('nowhere0'));
    expect(error).toBeInstanceOf(SystemError);
    expect(error.code).toBe('ENODEV');
    expect(error.syscall).toBe('if_nametoindex');
    expect(error.message).toBe(
      'if_nametoindex of nowhere0: ENODEV (no such device): there is no such interface in this network namespace',
    );
    expect(failure(() => close(-1)).code).toBe('EBADF');
  });

  it('name the missing capabilities', () => {
    const index = new URL('../dist/index.js', import.meta.url).href;
    const script = `import(${JSON.stringify(index)}).then((n) => {
      for (const act of [() => n.xdpSocket(), () => new n.PacketSocket({ name: 'lo', ifindex: 1 }),
        () => n.bpfMapCreate({ type: 'array', keyBytes: 4, valueBytes: 4, entries: 1, name: 'x' })]) {
        try { act(); console.log('no error'); } catch (e) { console.log(e.code, /CAP_(NET_RAW|BPF)/.exec(e.message)?.[0]); }
      }
    })`;
    const unprivileged = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const said = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', ...unprivileged });
    expect(said).toBe('EPERM CAP_NET_RAW\nEPERM CAP_NET_RAW\nEPERM CAP_BPF\n');
  });

  const root = process.getuid?.() === 0;
  it.skipIf(!root)(`pass on what the kernel says of a bad map${root ? '' : ' (needs root)'}`, () => {
    const act = () => bpfMapCreate({ type: 'hash', keyBytes: 0, valueBytes: 4, entries: 1, name: 'bad' });
    expect(failure(act).message).toContain('bpf(BPF_MAP_CREATE) of map bad: EINVAL');
  });
});
