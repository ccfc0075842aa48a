// Runs inside a namespace and answers its parent over IPC: a mirror of the kernel there, and lists.
import { KernelMirror, RtNetlink } from '../dist/index.js';

const netlink = RtNetlink.open();
const lister = RtNetlink.open();
const changes = [];
let overruns = 0;
const follow = netlink.follow.bind(netlink);
netlink.follow = ({ change, overrun }, keepAlive) => {
  const counted = () => {
    overruns++;
    overrun();
  };
  follow({ change, overrun: counted }, keepAlive);
};
const mirror = await KernelMirror.start(netlink, { onChange: (change) => changes.push(change) });

const methods = {
  mirror: async () => {
    await mirror.settled();
    const { links, addresses, routes, neighbours } = mirror;
    return { links, addresses, routes, neighbours };
  },
  lists: async () => ({
    links: await lister.links(),
    addresses: await lister.addresses(),
    routes: await lister.routes(),
    neighbours: await lister.neighbours(),
  }),
  changes: async () => {
    await mirror.settled();
    return changes.splice(0);
  },
  resolve: (ifindex, address) => lister.resolve(ifindex, address),
  overruns: async () => overruns,
  /** Holds the event loop, so that changes pile up unread. */
  sleep: async (milliseconds) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  },
};

process.on('message', async ({ id, method, args }) => {
  try {
    process.send({ id, value: await methods[method](...args) });
  } catch ({ message, code, errno }) {
    process.send({ id, error: { message, code, errno } });
  }
});
process.on('disconnect', () => process.exit());
process.send({ id: 0 });
