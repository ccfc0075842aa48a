import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';

/** Datagrams to send, each from one of `sockets` source ports in turn. */
export interface UdpLoad {
  readonly host: string;
  readonly port: number;
  /** Source ports, as many as the kernel chooses; 1 unless told. */
  readonly sockets?: number;
  /** Or these source ports. */
  readonly localPorts?: readonly number[];
  /** Datagrams of each socket, one after the other; 1 unless told. */
  readonly datagrams?: number;
  /** Bytes of each datagram; 32 unless told. */
  readonly bytes?: number;
  /** Milliseconds to wait for an answer; 2000 unless told. */
  readonly timeout?: number;
  /** Milliseconds to wait between two datagrams of a socket; 0 unless told. */
  readonly interval?: number;
}

export interface UdpResult {
  readonly answered: number;
  readonly lost: number;
  /** Answers that were not what was sent. */
  readonly damaged: number;
  /** Answers by server name. */
  readonly servers: Record<string, number>;
  /** For each socket, the servers that answered it, each once. */
  readonly flows: { readonly localPort: number; readonly servers: string[] }[];
}

export function echoMethods(name: string) {
  const connections = new Map<number, Socket>();
  let opened = 0;
  let received = 0;

  return {
    /** Starts a TCP server that sends everything back. */
    tcpEcho({ port, address = '0.0.0.0' }: { port: number; address?: string }): Promise<void> {
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.pipe(socket);
      });
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, address, resolve);
      });
    },

    /** Opens a TCP connection and keeps it; resolves with its number. */
    tcpOpen({ host, port, timeout = 5000 }: { host: string; port: number; timeout?: number }): Promise<number> {
      return new Promise((resolve, reject) => {
        const socket = connect(port, host, () => {
          socket.setTimeout(0);
          const id = opened++;
          connections.set(id, socket);
          resolve(id);
        });
        socket.setNoDelay(true);
        socket.setTimeout(timeout, () =>
          socket.destroy(new Error(`no connection to ${host}:${port} within ${timeout} ms`)),
        );
        socket.on('error', reject);
      });
    },

    /** Sends bytes over a kept connection and waits for as many to come back; rejects if other bytes do. */
    tcpExchange({ id, bytes, timeout = 5000 }: { id: number; bytes: number; timeout?: number }): Promise<void> {
      const socket = connections.get(id);
      if (!socket) throw new Error(`no connection ${id}`);
      const sent = Buffer.from(Array.from({ length: bytes }, (_, index) => (index * 31) & 0xff));
      return new Promise((resolve, reject) => {
        const chunks: Buffer[] = [];
        let length = 0;
        const end = (error?: Error) => {
          clearTimeout(timer);
          socket.off('data', onData).off('close', onClose);
          if (error) reject(error);
          else resolve();
        };
        const onClose = () => end(new Error(`the connection was closed after ${length} of ${bytes} bytes`));
        const onData = (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length >= bytes) end(Buffer.concat(chunks).equals(sent) ? undefined : new Error('other bytes came back'));
        };
        const timer = setTimeout(() => end(new Error(`${length} of ${bytes} bytes within ${timeout} ms`)), timeout);
        socket.on('data', onData).on('close', onClose);
        socket.write(sent);
      });
    },

    /** Closes a kept connection. */
    tcpClose(id: number): void {
      connections.get(id)?.end();
      connections.delete(id);
    },

    /** Starts a UDP server that answers `<name>:` and what it was sent. */
    udpEcho({ port, address = '0.0.0.0' }: { port: number; address?: string }): Promise<void> {
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      socket.on('message', (message, peer) => {
        received++;
        socket.send(Buffer.concat([Buffer.from(`${name}:`), message]), peer.port, peer.address);
      });
      return new Promise((resolve, reject) => {
        socket.once('error', reject);
        socket.bind(port, address, resolve);
      });
    },

    /** Datagrams that this actor's UDP servers got: their kernel has verified the checksums. */
    udpReceived: () => received,

    /** Sends datagrams and waits for each one's answer. */
    async udpLoad(options: UdpLoad): Promise<UdpResult> {
      const { sockets = 1, localPorts = Array.from({ length: sockets }, () => 0) } = options;
      const results = await Promise.all(localPorts.map((from) => udpFlow(options, from)));
      const servers: Record<string, number> = {};
      for (const { answers } of results) for (const server of answers) servers[server] = (servers[server] ?? 0) + 1;
      return {
        answered: results.reduce((sum, { answers }) => sum + answers.length, 0),
        lost: results.reduce((sum, { lost }) => sum + lost, 0),
        damaged: results.reduce((sum, { damaged }) => sum + damaged, 0),
        servers,
        flows: results.map(({ localPort, answers }) => ({ localPort, servers: [...new Set(answers)] })),
      };
    },
  };
}

async function udpFlow(load: UdpLoad, from: number) {
  const { host, port, datagrams = 1, bytes = 32, timeout = 2000, interval = 0 } = load;
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(from, () => socket.connect(port, host, resolve)); // connected: answers from any other address or port are not delivered
  });
  const localPort = socket.address().port;
  const answers: string[] = [];
  let [lost, damaged] = [0, 0];
  for (let sequence = 0; sequence < datagrams; sequence++) {
    const payload = `${localPort}/${sequence}/`.padEnd(bytes, '.');
    const answer = await exchange(socket, payload, timeout);
    if (answer === undefined) {
      lost++;
      continue;
    }
    const [server, rest] = [answer.slice(0, answer.indexOf(':')), answer.slice(answer.indexOf(':') + 1)];
    if (rest !== payload) damaged++;
    answers.push(server);
    if (interval > 0) await new Promise((resolve) => setTimeout(resolve, interval));
  }
  socket.close();
  return { localPort, answers, lost, damaged };
}

function exchange(socket: UdpSocket, payload: string, timeout: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const end = (answer?: string) => {
      clearTimeout(timer);
      socket.off('message', onMessage).off('error', onError);
      resolve(answer);
    };
    const onMessage = (message: Buffer) => end(message.toString());
    const onError = () => end(); // an ICMP error: nobody is there
    const timer = setTimeout(end, timeout);
    socket.on('message', onMessage).on('error', onError);
    socket.send(payload);
  });
}
