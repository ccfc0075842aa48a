// The graph of the test program: UDP to port 7 is sent back on the interface it came in on, or on another one that is told; the
// rest is punted.
import { Graph } from '@lbd/graph';
import { afXdp } from '../dist/index.js';

const ETHERNET = 14;
const ECHO = 7;

const swap = (bytes, a, b, length) => {
  const first = bytes.slice(a, a + length);
  bytes.copyWithin(a, b, b + length);
  bytes.set(first, b);
};

function reflect(packet, to) {
  const { bytes } = packet;
  const [protocol, port] = [bytes[ETHERNET + 9], (bytes[ETHERNET + 22] << 8) | bytes[ETHERNET + 23]];
  if (protocol !== 17 || port !== ECHO) return false;
  swap(bytes, 0, 6, 6);
  swap(bytes, ETHERNET + 12, ETHERNET + 16, 4);
  swap(bytes, ETHERNET + 20, ETHERNET + 22, 2);
  bytes.fill(0, ETHERNET + 26, ETHERNET + 28); // no UDP checksum: the sender's may be partial
  packet.tx = to ?? packet.rx;
  return true;
}

export function reflectorGraph(ports, to) {
  const graph = new Graph().add(...afXdp.nodes(ports), {
    name: 'ethernet-input',
    next: ['af_xdp-output', 'af_xdp-punt', 'drop'],
    process(context, vector, count, nexts) {
      for (let i = 0; i < count; i++) {
        const packet = context.packet(vector[i]);
        nexts[i] = reflect(packet, to) ? 0 : 1;
        if (nexts[i] === 1) {
          // as the IP layer would have it
          packet.data += ETHERNET;
          packet.length -= ETHERNET;
        }
      }
      return -1;
    },
  });
  return graph.link();
}
