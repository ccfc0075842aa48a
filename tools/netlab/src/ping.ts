/**
 * A Python script that pings: `<address> <count> <seconds> <bytes>`, prints the number of answers.
 * ping(8) is not on every system, and Node has no raw sockets.
 */
export const PING = `
import os, socket, struct, sys, time
address, count, patience, size = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
six = ':' in address
family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
request, answer = (128, 129) if six else (8, 0)
raw = socket.socket(family, socket.SOCK_RAW, protocol)
identifier = os.getpid() & 0xffff

def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

answered = 0
for sequence in range(count):
    payload = bytes(i & 0xff for i in range(size + size % 2))
    header = struct.pack('!BBHHH', request, 0, 0, identifier, sequence)
    # The kernel fills in the checksum of ICMPv6, for which it has to choose a source address first.
    packet = header if six else struct.pack('!BBHHH', request, 0, checksum(header + payload), identifier, sequence)
    raw.sendto(packet + payload, (address, 0))
    deadline = time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0:
        raw.settimeout(left)
        try:
            data, peer = raw.recvfrom(65535)
        except socket.timeout:
            break
        icmp = data if six else data[(data[0] & 15) * 4:]
        if icmp[0] == answer and icmp[4:8] == header[4:8] and icmp[8:] == payload and peer[0] == address:
            answered += 1
            break
print(answered)
`;
