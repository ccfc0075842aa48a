#!/usr/bin/python3
"""Writes expected.json: what lbd must make of each packet of the vectors here, and where that is not what VPP made of it.

    make.py <folder of captures> > expected.json && npx biome check --write expected.json

Each folder is one configuration of VPP (config.txt), the packets that it was sent one at a time (in.pcap), and what it sent
to the other side (out.pcap). This is a model of its own, from the RFCs and VPP's documentation: it shares nothing with lbd. It
says what is right for each packet, takes VPP's packet where that is the same, byte for byte, and wants a reason where
it is not. The folder of captures has, for each case, analysis.txt: a line for each packet that says what it is, and one
for each that VPP sent for it. Needs scapy.

expected.json: for each packet `vpp`, places in out.pcap, if VPP is right, else `sent`, frames in hex, and `why`. `punted`: the
kernel gets it. (out.pcap has only what VPP sent to the other side.)
"""
import ipaddress, json, re, sys
from pathlib import Path
from scapy.all import GRE, ICMP, IP, IPv6, in6_chksum, raw, rdpcap
from scapy.utils import checksum

HERE = Path(__file__).parent
ROUTER_MAC = {'pg0': '02:00:00:00:00:02'}
OWN_MAC = {'pg0': '02:fe:00:00:00:01', 'pg1': '02:fe:00:00:00:02'}
OWN_IP = {'pg0': {4: '192.168.0.1', 6: 'fc00::1'}, 'pg1': {4: '10.1.0.1', 6: '2002:1::1'}}
M64 = (1 << 64) - 1
TCP, UDP = 6, 17

# ---- Which server ----------------------------------------------------------------------------------------------------


def xxh64(word, seed):
    """XXH64 of one little-endian word of 8 bytes."""
    p1, p2, p3, p4, p5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
    rotate = lambda x, n: ((x << n) | (x >> (64 - n))) & M64
    h = (seed + p5 + 8) & M64
    h ^= (rotate(word * p2 & M64, 31) * p1) & M64
    h = (rotate(h, 27) * p1 + p4) & M64
    h = ((h ^ (h >> 33)) * p2) & M64
    h = ((h ^ (h >> 29)) * p3) & M64
    return h ^ (h >> 32)


def new_flow_table(servers, length):
    wide = [ipaddress.ip_address(s).packed.rjust(16, b'\0') for s in servers]
    turns = sorted((replica, address, i) for replica in range(100) for i, address in enumerate(wide))
    walks = []
    for replica, address, i in turns:
        word = int.from_bytes(address[:8], 'little') ^ int.from_bytes(address[8:], 'little') ^ replica
        seed = xxh64(word, 0x9E3779B97F4A7C13)
        walks.append([(seed >> 32) & (length - 1), ((seed & 0xFFFFFFFF) | 1) & (length - 1), i])
    table, filled = [None] * length, 0
    while True:
        for walk in walks:
            while table[walk[0]] is not None:
                walk[0] = (walk[0] + walk[1]) & (length - 1)
            table[walk[0]] = walk[2]
            filled += 1
            if filled == length:
                return table


def crc32c(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc


def flow_hash(source, destination, ports):
    """ports: the four bytes of the header, or None if the flow has none."""
    word = 0 if ports is None else int.from_bytes(ports[:2], 'little') << 16 | int.from_bytes(ports[2:], 'little')
    tail = word.to_bytes(8, 'little')
    if len(source) == 4:
        return crc32c(source + destination + tail + bytes(24))
    return crc32c(source + destination + tail)


# ---- Packets as bytes --------------------------------------------------------------------------------------------------


def incremental(check, before, after):
    """RFC 1624, equation 3. All are bytes, of even length."""
    s = ~int.from_bytes(check, 'big') & 0xFFFF
    s += sum(~int.from_bytes(before[i:i + 2], 'big') & 0xFFFF for i in range(0, len(before), 2))
    s += sum(int.from_bytes(after[i:i + 2], 'big') for i in range(0, len(after), 2))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return (~s & 0xFFFF).to_bytes(2, 'big')


class Packet:
    """An IP packet without padding, and where its parts are."""

    def __init__(self, ip):
        self.v = ip[0] >> 4
        if self.v == 4:
            self.b = bytearray(ip[:int.from_bytes(ip[2:4], 'big')])
            self.l4 = (ip[0] & 15) * 4
            self.protocol = ip[9]
            self.source, self.destination = bytes(ip[12:16]), bytes(ip[16:20])
            fragment = int.from_bytes(ip[6:8], 'big')
            self.later, self.first = (fragment & 0x1FFF) != 0, (fragment & 0x3FFF) == 0x2000
            self.id = bytes(ip[4:6])
            self.ttl = ip[8]
        else:
            self.b = bytearray(ip[:40 + int.from_bytes(ip[4:6], 'big')])
            self.source, self.destination = bytes(ip[8:24]), bytes(ip[24:40])
            self.protocol, self.l4, self.ttl = ip[6], 40, ip[7]
            self.later = self.first = False
            self.id = b''
            while self.protocol in (0, 43, 60, 44):
                at = self.l4
                if self.protocol == 44:
                    offset = int.from_bytes(ip[at + 2:at + 4], 'big')
                    self.later, self.first = offset >> 3 != 0, offset == 1
                    self.id = bytes(ip[at + 4:at + 8])
                    self.l4 += 8
                else:
                    self.l4 += (ip[at + 1] + 1) * 8
                self.protocol = ip[at]
                if self.later:
                    break

    @property
    def ports(self):
        if self.protocol in (TCP, UDP) and not self.later and len(self.b) >= self.l4 + 4:
            return bytes(self.b[self.l4:self.l4 + 4])
        return None

    def icmp(self):
        return self.protocol == (1 if self.v == 4 else 58) and not self.later

    def about(self):
        """What an ICMP error is about."""
        if not self.icmp():
            return None
        errors = (3, 11, 12) if self.v == 4 else (1, 2, 3, 4)
        return Packet(bytes(self.b[self.l4 + 8:])) if self.b[self.l4] in errors else None

    def readdressed(self, destination=None, source=None, tos=None, dport=None, sport=None):
        """With checksums updated as they stand: wrong ones stay wrong."""
        p = Packet(bytes(self.b))
        before, after = b'', b''
        s, d = (12, 16) if p.v == 4 else (8, 24)
        if tos is not None:
            new = bytes([p.b[0], tos])
            p.b[10:12] = incremental(p.b[10:12], p.b[0:2], new)
            p.b[0:2] = new
        for at, new in ((s, source), (d, destination)):
            if new is not None:
                old = bytes(p.b[at:at + len(new)])
                before, after = before + old, after + new
                p.b[at:at + len(new)] = new
        if p.v == 4:
            p.b[10:12] = incremental(p.b[10:12], before, after)
        whole = {TCP: 20, UDP: 8}.get(p.protocol)
        if p.later or whole is None or len(p.b) < p.l4 + whole:
            return p
        for at, new in ((p.l4, sport), (p.l4 + 2, dport)):
            if new is not None:
                new = new.to_bytes(2, 'big')
                before, after = before + bytes(p.b[at:at + 2]), after + new
                p.b[at:at + 2] = new
        at = p.l4 + (16 if p.protocol == TCP else 6)
        if p.protocol == TCP or p.b[at:at + 2] != b'\0\0':
            new = incremental(p.b[at:at + 2], before, after)
            p.b[at:at + 2] = b'\xff\xff' if p.protocol == UDP and new == b'\0\0' else new
        return p

    def forwarded(self):
        """TTL or hop limit counted down once."""
        p = Packet(bytes(self.b))
        if p.v == 4:
            new = bytes([p.b[8] - 1, p.b[9]])
            p.b[10:12] = incremental(p.b[10:12], p.b[8:10], new)
            p.b[8:10] = new
        else:
            p.b[7] -= 1
        return p


# ---- A load balancer -----------------------------------------------------------------------------------------------------


class Model:
    def __init__(self, config):
        self.mtu = {'pg0': 9000, 'pg1': 9000}
        self.mac = {}
        self.nat = set()
        self.source = {}
        self.sticky = False
        for line in config.splitlines():
            w = line.split()
            if line.startswith('set ip neighbor'):
                self.mac[ipaddress.ip_address(w[5]).packed] = (w[4], w[6])
            elif line.startswith('set interface mtu'):
                self.mtu[w[5]] = int(w[4])
            elif line.startswith('lb conf'):
                self.source = {4: ipaddress.ip_address(w[3]).packed, 6: ipaddress.ip_address(w[5]).packed}
            elif line.startswith('lb vip'):
                self.vip = ipaddress.ip_network(w[2])
                after = lambda key, d=None: w[w.index(key) + 1] if key in w else d
                self.encap = after('encap')
                self.port = int(after('port', 0)) or None
                self.protocol = {'udp': UDP, 'tcp': TCP, None: None}[after('protocol')]
                self.target = int(after('target_port', 0)) or None
                self.dscp = int(after('dscp', 0))
                self.length = int(after('new_len'))
                self.sticky = 'src_ip_sticky' in w
            elif line.startswith('lb as'):
                self.servers = [a for a in w[3:] if re.match(r'[0-9a-f.:]+$', a) and ('.' in a or ':' in a)]
            elif line.startswith('lb set interface'):
                self.nat.add(w[5])
        self.table = new_flow_table(self.servers, self.length)
        # The server of a fragmented datagram; None: the kernel's.
        self.datagrams = {}

    def server(self, source, destination, ports):
        hashed = flow_hash(source, destination, None if self.sticky else ports)
        return ipaddress.ip_address(self.servers[self.table[hashed & (self.length - 1)]]).packed

    def is_vip(self, address):
        return len(address) == len(self.vip.network_address.packed) and ipaddress.ip_address(address) in self.vip

    def frame(self, interface, mac, p):
        kind = '0800' if p.v == 4 else '86dd'
        text = mac.replace(':', '') + OWN_MAC[interface].replace(':', '') + kind + bytes(p.b).hex()
        return text

    def answer(self, interface, p):
        """What lbd sends of its own, back where the packet came from."""
        to = self.mac.get(p.destination, ('', ROUTER_MAC['pg0']))[1]
        return [self.frame(interface, to, p)]

    def error(self, interface, p, kind, code, mtu=0):
        """The ICMP error about a packet as it came (RFC 792, RFC 1812: at most 576 bytes; RFC 4443: at most 1280).

        Its TTL is 255, as VPP's.
        """
        if p.v == 4:
            body = b'\0\0' + mtu.to_bytes(2, 'big') + bytes(p.b[:576 - 28])
            message = bytes([kind, code, 0, 0]) + body
            message = bytes([kind, code]) + checksum(message).to_bytes(2, 'big') + body
            ip = IP(src=OWN_IP[interface][4], dst=str(ipaddress.ip_address(p.source)), ttl=255, id=0, proto=1) / message
        else:
            body = mtu.to_bytes(4, 'big') + bytes(p.b[:1280 - 48])
            ip = IPv6(src=OWN_IP[interface][6], dst=str(ipaddress.ip_address(p.source)), hlim=255, nh=58)
            message = bytes([kind, code, 0, 0]) + body
            message = bytes([kind, code]) + in6_chksum(58, ip, message).to_bytes(2, 'big') + body
            ip = ip / message
        return self.answer(interface, Packet(raw(ip)))

    def echo_reply(self, interface, p):
        """RFC 792, RFC 4443: the addresses change places, all else is as it came. TTL 64, counted down once."""
        q = Packet(bytes(p.b))
        s, width = (12, 4) if p.v == 4 else (8, 16)
        q.b[s:s + width], q.b[s + width:s + 2 * width] = p.destination, p.source
        if p.v == 4:
            del_ip = IP(bytes(q.b))
            del del_ip.chksum
            del_ip.ttl = 64
            del del_ip[ICMP].chksum
            del_ip[ICMP].type = 0
            return self.answer(interface, Packet(raw(del_ip)))
        ip = IPv6(bytes(q.b))
        ip.hlim = 64
        message = bytearray(raw(ip.payload))
        message[0:4] = b'\x81\0\0\0'
        bare = IPv6(src=ip.src, dst=ip.dst, hlim=ip.hlim, nh=58, tc=ip.tc, fl=ip.fl)
        message[2:4] = in6_chksum(58, bare, bytes(message)).to_bytes(2, 'big')
        return self.answer(interface, Packet(raw(bare / bytes(message))))

    def take(self, interface, frame):
        """Frames that leave, in hex; None: given to the kernel."""
        p = Packet(frame[14:])
        if p.v == 4 and checksum(bytes(p.b[:p.l4 if p.l4 < len(p.b) else 20])) != 0:
            return []
        if p.v == 4 and p.ttl == 0:
            return self.error(interface, p, 11, 0)
        if interface in self.nat:
            return self.reply(interface, p)
        if not self.is_vip(p.destination):
            return []
        flow = (p.source, p.destination, p.ports)
        about = p.about()
        if about is not None and self.is_vip(about.source) and about.ports is not None:
            ports = about.ports
            if self.port is None or (about.protocol, int.from_bytes(ports[:2], 'big')) == (self.protocol, self.port):
                flow = (about.destination, about.source, ports[2:] + ports[:2])
                return self.send(p, self.server(*flow), about)
        datagram = (p.source, p.destination, p.protocol, p.id)
        if p.later:
            if datagram not in self.datagrams:
                return []
            server = self.datagrams[datagram]
            return None if server is None else self.send(p, server)
        if self.port is not None:
            echo = 8 if p.v == 4 else 128
            if p.icmp() and p.b[p.l4] == echo:
                return self.echo_reply(interface, p)
            if p.ports is None or (p.protocol, int.from_bytes(p.ports[2:], 'big')) != (self.protocol, self.port):
                if p.first:
                    self.datagrams[datagram] = None
                return None
        server = self.server(*flow)
        if p.first:
            self.datagrams[datagram] = server
        if self.encap in ('l3dsr', 'nat4', 'nat6') and p.ttl < 2:
            return self.error(interface, p, *((11, 0) if p.v == 4 else (3, 0)))
        room = self.mtu['pg1'] - {'gre4': 24, 'gre6': 44}.get(self.encap, 0)
        if len(p.b) > room:
            if p.v == 6:
                return self.error(interface, p, 2, 0, room)
            if p.b[6] & 0x40:
                return self.error(interface, p, 3, 4, room)
            return self.fragments(p, room, server)
        return self.send(p, server)

    def fragments(self, p, room, server):
        """RFC 791; the packets here have no options."""
        data, most, out = bytes(p.b[20:]), (room - 20) // 8 * 8, []
        for at in range(0, len(data), most):
            ip = IP(bytes(p.b[:20]))
            del ip.chksum, ip.len
            ip.frag, ip.flags = at // 8, 'MF' if at + most < len(data) else 0
            ip.remove_payload()
            out += self.send(Packet(raw(ip / data[at:at + most])), server)
        return out

    def send(self, p, server, about=None):
        """To a server, by the encap of the VIP. about: what an ICMP error is about."""
        interface, mac = self.mac[server]
        if self.encap == 'gre4':
            kind = 0x0800 if p.v == 4 else 0x86DD
            outer = IP(src=str(ipaddress.ip_address(self.source[4])), dst=str(ipaddress.ip_address(server)), ttl=127, id=0, tos=0)
            out = Packet(raw(outer / GRE(proto=kind) / bytes(p.b)))
        elif self.encap == 'gre6':
            kind = 0x0800 if p.v == 4 else 0x86DD
            outer = IPv6(src=str(ipaddress.ip_address(self.source[6])), dst=str(ipaddress.ip_address(server)), hlim=127)
            out = Packet(raw(outer / GRE(proto=kind) / bytes(p.b)))
        elif self.encap == 'l3dsr':
            out = p.readdressed(destination=server, tos=self.dscp << 2 | p.b[1] & 3).forwarded()
        elif about is not None:
            out = self.translated_error(p, about, server).forwarded()
        elif p.later:
            out = p.readdressed(destination=server).forwarded()
        else:
            if len(p.b) < p.l4 + {TCP: 20, UDP: 8}[p.protocol]:
                return []
            out = p.readdressed(destination=server, dport=self.target).forwarded()
        return [self.frame(interface, mac, out)]

    def translated_error(self, p, about, server):
        """RFC 5508, 4.2: the packet quoted becomes what the server sent, the error goes to the server."""
        quoted = about.readdressed(source=server, sport=self.target)
        q = p.readdressed(destination=server)
        at = q.l4
        q.b[at + 8:at + 8 + len(quoted.b)] = quoted.b
        q.b[at + 2:at + 4] = b'\0\0'
        q.b[at + 2:at + 4] = checksum(bytes(q.b[at:])).to_bytes(2, 'big')
        return q

    def reply(self, interface, p):
        """From a server without a session: of one VIP if exactly one has the address, protocol and port."""
        known = str(ipaddress.ip_address(p.source)) in self.servers and p.protocol == self.protocol
        if not known or p.ports is None or int.from_bytes(p.ports[:2], 'big') != self.target:
            return None
        if p.ttl < 2:
            return self.error(interface, p, 3, 0)
        vip = self.vip.network_address.packed
        out = p.readdressed(source=vip, sport=self.port).forwarded()
        return [self.frame('pg0', ROUTER_MAC['pg0'], out)]


# ---- Where VPP is not right ------------------------------------------------------------------------------------------------

TOS = 'gre4 of VPP leaves the outer TOS as the buffer had it; it is 0'
# Case and packet (regular expressions), and why lbd does something else than VPP. The first that fits counts.
REASONS = [
    ('.*', 'udp ttl 0', 'VPP answers alike (and captured only what went to the other side)'),
    ('(l3dsr|nat4)-.*', 'tcp fragment 1', 'the first fragment was left to the kernel, so the others are'),
    ('.*', '.* fragment [12]|tcp fragment 1', 'all fragments of a datagram reach the server of its ports, their payload unharmed'),
    ('l3dsr-port', 'udp fragment 0', 'the checksum is of the whole datagram: updated, not computed over the first fragment'),
    ('gre6-v6-port', 'udp fragment 0', 'the ports are behind the fragment header'),
    ('gre6-v6-port', '(hop-by-hop|dest-opts) .*', 'IPv6 extension headers are walked'),
    ('.*', 'udp with ip options', 'IPv4 options are walked'),
    ('.*', 'udp padded to 60|udp frame with 9 bytes trailer', 'Ethernet padding is no part of the packet'),
    ('gre4-.*|gre6-.*|l3dsr-.*', 'icmp6? .* about vip->client', 'an ICMP error reaches the server of the flow that it is about'),
    ('nat4-.*', 'icmp .* about vip->client', 'an ICMP error reaches the server of the flow that it is about, which it names as the server knows it'),
    ('gre6-.*|l3dsr-.*|nat4-.*', 'icmp6? echo request.*', 'the ping of a per-port VIP is answered'),
    ('gre4-v4-mtu1500', 'udp 1472 payload', 'too big for the tunnel: fragmented before, so that the server gets GRE packets whole'),
    ('gre4-v4-mtu1500', 'udp 1472 payload DF', 'too big for the tunnel, and says DF: the client is told the MTU that the tunnel leaves'),
    ('l3dsr-port', 'udp dscp46 ecn[123]', 'the DSCP is six bits (RFC 2474): the ECN field stays'),
    ('(l3dsr|nat4)-.*', 'udp ttl 1', 'time exceeded quotes the packet as it came'),
    ('(l3dsr|nat4)-.*', 'udp checksum zero', 'a UDP checksum of 0 is none, and stays 0'),
    ('l3dsr-port', 'udp bad udp checksum', 'what came in damaged leaves damaged'),
    ('nat4-sameport', 'udp truncated header.*', 'no session for what is no UDP packet'),
    ('nat6-return', 'udp as.:3307 -> client', 'the source port is 20000, not 8270'),
    ('nat6-return', 'tcp .*', 'TCP is of no VIP for UDP: left to the kernel'),
    ('nat6-return', 'udp as1:3307 hlim 1', 'time exceeded, and about the packet as it came'),
    ('.*', '.*', 'for no VIP: left to the kernel, where VPP drops it'),
]


def but_for_tos(vpp, right):
    """True if outer TOS and outer checksum are all that differs."""
    if len(vpp) != 1 or len(right) != 1:
        return False
    a, b = bytearray.fromhex(vpp[0]), bytearray.fromhex(right[0])
    a[15], a[24:26] = b[15], b[24:26]
    return a == b and b[23] == 47


def reason(case, what, vpp, right, punted):
    if vpp and but_for_tos(vpp, right):
        return TOS
    for cases, packets, why in REASONS:
        if re.fullmatch(cases, case) and re.fullmatch(packets, what):
            break
    assert punted or why is not REASONS[-1][2], (case, what)
    return why + ('; and the outer TOS is 0' if vpp and 'gre4' in case and bytes.fromhex(vpp[0])[15] else '')


def main(folder):
    cases = []
    for case in sorted(f for f in HERE.iterdir() if f.is_dir()):
        model = Model((case / 'config.txt').read_text())
        interface, other = ('pg1', 'pg0') if case.name.endswith('return') else ('pg0', 'pg1')
        captured = [raw(p) for p in rdpcap(str(case / 'in.pcap'))]
        sent = [raw(p).hex() for p in rdpcap(str(case / 'out.pcap'))]
        packets, vpp, seen = [], {}, 0
        for line in Path(folder, case.name, 'analysis.txt').read_text().splitlines():
            if m := re.match(r' *(\d+) pg\d (.*?) \[in ', line):
                packets.append({'packet': int(m[1]), 'what': m[2]})
                vpp[int(m[1])] = []
            elif f'-> {other}' in line:
                vpp[packets[-1]['packet']].append(seen)
                seen += 1
        assert seen == len(sent) and len(packets) == len(captured)
        for row in packets:
            number = row['packet']
            right = model.take(interface, captured[number])
            frames = [] if right is None else right
            if right is None:
                row['punted'] = True
            theirs = [sent[i] for i in vpp[number]]
            if theirs == frames and right is not None:
                row['vpp'] = vpp[number]
            else:
                row['sent'] = frames
                row['why'] = reason(case.name, row['what'], theirs, frames, right is None)
        cases.append({'case': case.name, 'in': interface, 'packets': packets})
    return cases


json.dump(main(sys.argv[1]), sys.stdout, indent=1)
