"""Writes a capture of good packets of the VIP with hostile ones between them.

hostile.py FILE SEED: reads the kinds wanted from the standard input, a JSON list, and writes the i-th 2**i times, so that
any sum of these counts tells which kinds are in it. Prints {"hostile": {kind: bytes in hex}, "good": number}.
"""
import json
import random
import sys

from scapy.all import ARP, IP, TCP, UDP, Dot1Q, Ether, Raw, RawPcapWriter

CLIENT, VIP = '10.1.0.2', '10.10.2.2'
GOOD = 600

ether = Ether(dst='02:00:00:00:00:01', src='02:00:00:00:00:02', type=0x0800)
tcp = TCP(sport=30000, dport=8080, flags='S')


def ip(payload=tcp / b'hello', **fields):
    return ether / IP(**{'src': CLIENT, 'dst': VIP, **fields}) / payload


def altered(offset, value, packet=ip()):
    """The packet with one byte of its IP header changed, and the header's checksum right again."""
    data = bytearray(bytes(packet))
    data[14 + offset] = value
    data[24:26] = b'\0\0'
    length = max(20, (data[14] & 15) * 4)
    total = sum(int.from_bytes(data[i:i + 2], 'big') for i in range(14, 14 + length, 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    data[24:26] = (total ^ 0xffff).to_bytes(2, 'big')
    return bytes(data)


def cut(packet, size):
    return bytes(packet)[:size]


def segment(protocol, payload):
    """An IP packet, right in itself, that holds just these bytes of TCP or UDP."""
    return ip(Raw(payload), proto=protocol)


KINDS = {
    'nothing at all': b'',
    'runt': cut(ip(), 13),
    'Ethernet only': ether,
    'half an IP header': cut(ip(), 14 + 12),
    'one byte less than an IP header': cut(ip(), 14 + 19),
    'IP total length beyond the frame': ip(len=400),
    'IP total length below the header': ip(len=19),
    'IP version 5': altered(0, 0x55),
    'IP version 6 in a frame of IPv4': altered(0, 0x65),
    'IHL 4': altered(0, 0x44),
    'IHL 0': altered(0, 0x40),
    'IHL beyond the total length': altered(0, 0x4f, ip(Raw(b''))),
    'bad header checksum': ip(chksum=0x1234),
    'TTL 0': ip(ttl=0),
    'TTL 1': ip(ttl=1),
    'source 0.0.0.1': ip(src='0.0.0.1'),
    'source 127.0.0.1': ip(src='127.0.0.1'),
    'source 224.0.0.1': ip(src='224.0.0.1'),
    'source 255.255.255.255': ip(src='255.255.255.255'),
    'destination 127.0.0.1': ip(dst='127.0.0.1'),
    'destination without a route': ip(dst='99.0.0.1'),
    'TCP with no port': segment(6, b'\x75'),
    'TCP without its second port': segment(6, bytes(tcp)[:3]),
    'TCP with its ports only': segment(6, bytes(tcp)[:4]),
    'TCP one byte short': segment(6, bytes(tcp)[:19]),
    'UDP with its ports only': segment(17, bytes(UDP(sport=30000, dport=5353))[:4]),
    'UDP one byte short': segment(17, bytes(UDP(sport=30000, dport=5353))[:7]),
    'another port': ip(TCP(sport=30000, dport=8081)),
    'another protocol': ip(Raw(b'12345678'), proto=47),
    'later fragment': ip(Raw(bytes(tcp)), proto=6, frag=100),
    'VLAN tag': Ether(dst=ether.dst, src=ether.src) / Dot1Q(vlan=7) / ip().payload,
    'ARP': Ether(dst='ff:ff:ff:ff:ff:ff', src=ether.src) / ARP(psrc=CLIENT, pdst='10.1.0.1'),
    'an EtherType of nobody': Ether(dst=ether.dst, src=ether.src, type=0x88b5) / b'hello',
    'another destination MAC': Ether(dst='02:00:00:00:00:99', src=ether.src, type=0x0800) / ip().payload,
}

path, seed = sys.argv[1], int(sys.argv[2])
hostile = {kind: bytes(KINDS[kind]) for kind in json.load(sys.stdin)}
packets = [data for i, data in enumerate(hostile.values()) for _ in range(2**i)]
random.Random(seed).shuffle(packets)
# The good packets in their order, at even distances.
good = [bytes(ip(TCP(sport=20000 + i % 100, dport=8080, flags='A', seq=i) / f'good {i}')) for i in range(GOOD)]
step = len(packets) / GOOD
with open(path, 'wb') as file:
    writer = RawPcapWriter(file, linktype=1)
    writer.write_header(None)
    for i, data in enumerate(good):
        for other in packets[round(i * step):round((i + 1) * step)]:
            writer.write_packet(other)
        writer.write_packet(data)
print(json.dumps({'hostile': {kind: data.hex() for kind, data in hostile.items()}, 'good': len(good)}))
