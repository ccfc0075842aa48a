#!/usr/bin/python3
"""Writes flows.json: which application server VPP chose for each packet that it was sent.

    make.py <folder of captures> > flows.json

A capture is a folder with in.pcap (packets as sent) and analysis.txt (per packet a line with its number, then one that
says where VPP sent it: its destination MAC address ends in the number of the server). Needs scapy.
"""
import json, re, sys
from pathlib import Path
from scapy.all import IP, IPv6, Ether, raw, rdpcap

# folder: (servers in the order of their numbers, length of the new-flow table, src_ip_sticky)
V4 = [f'0a0101{i:02x}' for i in range(1, 6)]
V6 = [f'20020001{"0" * 16}0001{i:04x}' for i in range(1, 6)]
CASES = {
    'gre4-v4': (V4, 1024, False), 'gre4-v4-srcsticky': (V4, 1024, True), 'l3dsr-port': (V4, 1024, False),
    'nat4-sameport': (V4, 1024, False), 'gre6-v6-port': (V6, 1024, False),
}


def flow(packet):
    if IP in packet:
        ip = packet[IP]
        data, protocol, source, destination = raw(ip)[20:24], ip.proto, raw(ip)[12:16], raw(ip)[16:20]
    else:
        ip = packet[IPv6]
        data, protocol, source, destination = raw(ip)[40:44], ip.nh, raw(ip)[8:24], raw(ip)[24:40]
    row = {'source': source.hex(), 'destination': destination.hex()}
    # VPP takes these four bytes of every TCP or UDP packet, also where a later fragment has payload.
    if protocol in (6, 17):
        row['ports'] = [int.from_bytes(data[0:2], 'big'), int.from_bytes(data[2:4], 'big')]
    return row


cases = []
for name, (servers, length, sticky) in CASES.items():
    folder = Path(sys.argv[1]) / name
    packets = rdpcap(str(folder / 'in.pcap'))
    flows, number = [], None
    for line in (folder / 'analysis.txt').read_text().splitlines():
        if m := re.match(r' *(\d+) pg0 (.*?) \[in ', line):
            number, what = int(m[1]), m[2]
        elif m := re.match(r' +-> pg1 len \d+ dmac 02:00:00:0[12]:00:0(\d) ', line):
            flows.append({'packet': f'{number} {what}', **flow(packets[number]), 'server': int(m[1]) - 1})
    cases.append({'case': name, 'servers': servers, 'length': length, 'sticky': sticky, 'flows': flows})
rows = ',\n'.join('  ' + json.dumps({**c, 'flows': None}).replace('"flows": null', '"flows": [\n    ' +
       ',\n    '.join(map(json.dumps, c['flows'])) + '\n  ]') for c in cases)
print(f'[\n{rows}\n]')
