import { request } from 'node:http';
import type { Duplex, Readable, Writable } from 'node:stream';
import { isRecord } from '../core/message.ts';
import { seconds } from '../core/units.ts';
import { SpdyConnection, type SpdyStream } from '../wire/spdy.ts';

/** Who sits in front of a command: streams of this process, or a test's. */
export type Console = {
  /** undefined: the command gets no input. */
  readonly input: (Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown }) | undefined;
  readonly output: Writable & { readonly columns?: number; readonly rows?: number };
  readonly errors: Writable;
};

/** How a command ended: its status, or why there is none. */
export type Ended = { readonly exitCode: number } | { readonly refused: string };

const PROTOCOL = 'v4.channel.k8s.io';
const ANSWER_LIMIT = seconds(10);

/** Runs the command that waits behind a URL which a container runtime has given for it.
 * @param tty whether it was asked for with a terminal: then errors come with the output
 * @throws Error when the connection cannot be made, or ends before the command
 * @source kubelet pkg/cri/streaming/remotecommand; client-go tools/remotecommand v4.go */
export async function runRemote(url: string, tty: boolean, console: Console): Promise<Ended> {
  const connection = await connect(url);
  try {
    return await converse(connection, tty, console);
  } finally {
    connection.destroy();
  }
}

async function converse(connection: SpdyConnection, tty: boolean, console: Console): Promise<Ended> {
  const { input, output, errors } = console;
  let status = '';
  const ends: Promise<void>[] = [];
  const open = (streamtype: string, data: (bytes: Buffer) => void = () => {}): Promise<SpdyStream> => {
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    // The runtime ends these two by closing.
    if (streamtype !== 'stdin' && streamtype !== 'resize') ends.push(ended);
    return connection.open({ streamtype }, { data, end });
  };
  // A reader that is slow holds up the command, not this process's memory.
  const show = (to: Writable) => (bytes: Buffer) => {
    if (to.write(bytes)) return;
    connection.pause();
    to.once('drain', () => connection.resume());
  };
  await open('error', (bytes) => (status += bytes.toString()));
  const stdin = input ? await open('stdin') : undefined;
  await open('stdout', show(output));
  if (!tty) await open('stderr', show(errors));
  const resize = tty ? await open('resize') : undefined;
  const fit = (): void => void resize?.write(sizeOf(output));
  try {
    if (tty && input?.isTTY) input.setRawMode?.(true);
    fit();
    output.on('resize', fit);
    if (input && stdin) void forward(input, stdin);
    await Promise.all(ends);
  } finally {
    output.off('resize', fit);
    input?.removeAllListeners('data');
    input?.pause();
    if (tty && input?.isTTY) input.setRawMode?.(false);
  }
  return readStatus(status);
}

/** Reads no faster than the runtime takes it. */
async function forward(input: Readable, stdin: SpdyStream): Promise<void> {
  input.on('data', (bytes: Buffer) => {
    input.pause();
    void stdin.write(bytes).then(() => input.resume());
  });
  input.once('end', () => void stdin.end());
}

function sizeOf({ columns = 80, rows = 24 }: Console['output']): Buffer {
  return Buffer.from(JSON.stringify({ Width: columns, Height: rows }));
}

/** @source metav1.Status; the cause of an exit that is not 0 */
function readStatus(text: string): Ended {
  if (text === '') throw new Error('the container runtime closed the connection');
  const status: unknown = JSON.parse(text);
  if (!isRecord(status)) throw new Error(`the container runtime said ${text}`);
  if (status.status === 'Success') return { exitCode: 0 };
  const { causes } = isRecord(status.details) ? status.details : {};
  for (const cause of Array.isArray(causes) ? causes : [])
    if (isRecord(cause) && cause.reason === 'ExitCode') return { exitCode: Number(cause.message) };
  return { refused: String(status.message ?? status.reason) };
}

function connect(url: string): Promise<SpdyConnection> {
  return new Promise((resolve, reject) => {
    const headers = {
      Connection: 'Upgrade',
      Upgrade: 'SPDY/3.1',
      'X-Stream-Protocol-Version': PROTOCOL,
    };
    const call = request(url, { method: 'POST', headers, agent: false });
    call.setTimeout(ANSWER_LIMIT, () =>
      call.destroy(new Error(`${url}: no answer in ${ANSWER_LIMIT / 1000} s`)),
    );
    call.once('error', reject);
    call.once('upgrade', (_, socket: Duplex & { setTimeout?(ms: number): void }, head) => {
      socket.setTimeout?.(0);
      resolve(new SpdyConnection(socket, head));
    });
    call.once('response', (response) => {
      response.resume();
      reject(new Error(`${url}: it answers ${response.statusCode}`));
    });
    call.end();
  });
}
