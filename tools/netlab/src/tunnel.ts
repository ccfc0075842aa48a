/** What carries packets to a tunnel's end: GRE or IP itself, over IPv4 or IPv6. */
export type TunnelKind = 'gre4' | 'gre6' | 'ipip4' | 'ipip6';

/** IP protocols of the outer header, by kind. */
const PROTOCOLS: Readonly<Record<TunnelKind, readonly number[]>> = {
  gre4: [47],
  gre6: [47],
  ipip4: [4, 41],
  ipip6: [4, 41],
};

/** Arguments of {@link TUNNEL_END}: outer family, whether there is a GRE header, outer protocols. */
export function tunnelArguments(kind: TunnelKind): string[] {
  return [kind.endsWith('6') ? '6' : '4', kind.startsWith('gre') ? 'gre' : 'ip', PROTOCOLS[kind].join(',')];
}

/**
 * A Python script that is the end of a tunnel, for kernels without ip_gre and the like: takes the outer header off what comes
 * for any of the namespace's addresses, and gives the packet inside to the kernel by the interface `tunnel0`. It prints
 * `ready`, and on SIGTERM how many packets it passed on and how many it refused.
 */
export const TUNNEL_END = `
import fcntl, os, select, signal, socket, struct, sys
six, gre = sys.argv[1] == '6', sys.argv[2] == 'gre'
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 1, 0x1000
tun = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack('16sH22x', b'tunnel0', IFF_TUN | IFF_NO_PI))
sockets = [socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, int(p)) for p in sys.argv[3].split(',')]
for raw in sockets:
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
passed = refused = 0

def end(*_):
    print(passed, refused, flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, end)
print('ready', flush=True)
while True:
    for raw in select.select(sockets, [], [])[0]:
        data = raw.recv(65535)
        # A raw IPv4 socket gives the header, too; a raw IPv6 socket does not.
        inner = data if six else data[(data[0] & 15) * 4:]
        if gre:
            flags, kind = struct.unpack('!HH', inner[:4])
            inner = inner[4:]
            # RFC 2784: no checksum, no key, version 0, and the type says what is inside.
            right = flags == 0 and len(inner) > 0 and kind == {4: 0x0800, 6: 0x86dd}.get(inner[0] >> 4)
        else:
            right = len(inner) > 0 and inner[0] >> 4 in (4, 6)
        if not right:
            refused += 1
            continue
        os.write(tun, inner)
        passed += 1
`;
