import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Told what has been done so far, in bytes. */
export type Progress = (doing: 'written' | 'verified', done: number, total: number) => void;

const CHUNK = 4 * 1024 * 1024;
/** Cards take into a buffer of the machine what they then need minutes for: so much is let ahead. */
const SYNC_EVERY = 64 * 1024 * 1024;

/** Copies an image onto a medium, and waits until it lies there.
 * @throws Error of the system: no rights, in use (EBUSY), no space */
export async function writeImage(image: string, medium: string, progress: Progress): Promise<void> {
  const from = await open(image, 'r');
  try {
    // Of a disk, O_EXCL is refused while anybody has it mounted.
    const to = await open(medium, constants.O_RDWR | constants.O_EXCL);
    try {
      const total = (await from.stat()).size;
      const chunk = Buffer.allocUnsafe(CHUNK);
      for (let at = 0; at < total; ) {
        const length = await fill(from, chunk, at);
        await writeAll(to, chunk.subarray(0, length), at);
        at += length;
        if (at % SYNC_EVERY === 0) await to.datasync();
        progress('written', at, total);
      }
      await to.sync();
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

/** Reads the medium back.
 * @returns where it first differs from the image, in bytes; undefined when it does not */
export async function verifyImage(
  image: string,
  medium: string,
  progress: Progress,
): Promise<number | undefined> {
  const [from, to] = [await open(image, 'r'), await open(medium, 'r')];
  try {
    const total = (await from.stat()).size;
    const [wanted, found] = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)];
    for (let at = 0; at < total; ) {
      const length = await fill(from, wanted, at);
      const read = await fill(to, found.subarray(0, length), at);
      if (!wanted.subarray(0, length).equals(found.subarray(0, read)))
        return at + firstDifference(wanted, found, read);
      at += length;
      progress('verified', at, total);
    }
    return undefined;
  } finally {
    await from.close();
    await to.close();
  }
}

async function fill(file: FileHandle, buffer: Buffer, at: number): Promise<number> {
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, at + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}

async function writeAll(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}

function firstDifference(a: Buffer, b: Buffer, length: number): number {
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return length;
}
