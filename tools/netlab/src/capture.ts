import type { Namespace } from './namespace.ts';
import type { Running } from './running.ts';

/**
 * A Python script that captures: `<device> <file> <filter>`, until SIGINT. tcpdump insists on becoming another user, or
 * itself anew, which nobody can in a user namespace.
 */
const CAPTURE = `
import signal, socket, sys, time
from scapy.all import conf
from scapy.utils import RawPcapWriter
device, path, wanted = sys.argv[1:]
ended = None
def end(*_):
    global ended
    ended = ended or time.time()
signal.signal(signal.SIGINT, end)
listener = conf.L2listen(iface=device, filter=wanted or None)
try:
    listener.ins.setsockopt(socket.SOL_SOCKET, 33, 64 << 20) # SO_RCVBUFFORCE
except PermissionError: # in a user namespace there is a limit
    listener.ins.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
listener.ins.settimeout(0.05)
with open(path, 'wb') as file:
    writer = RawPcapWriter(file, linktype=1, nano=True, sync=True)
    writer.write_header(None)
    print('listening', flush=True)
    while True:
        try:
            _, data, at = listener.recv_raw(65535)
        except TimeoutError:
            if ended:
                break
            continue
        # What had come when the end was asked for is still read.
        if ended and at > ended:
            break
        writer.write_packet(data, sec=int(at), usec=int(at % 1 * 1e9))
`;

/** A sniffer that writes to a pcap file. */
export class Capture {
  readonly file: string;
  readonly #sniffer: Running;

  private constructor(file: string, sniffer: Running) {
    this.file = file;
    this.#sniffer = sniffer;
  }

  /** Resolves once it listens: no packet sent after that is missed. */
  static async start(namespace: Namespace, device: string, file: string, filter: string): Promise<Capture> {
    const sniffer = namespace.spawnPython(CAPTURE, [device, file, filter]);
    await sniffer.waitForOutput(/listening/);
    return new Capture(file, sniffer);
  }

  /** Ends the capture; the file is complete then. */
  async stop(): Promise<string> {
    await this.#sniffer.stop('SIGINT');
    return this.file;
  }
}
