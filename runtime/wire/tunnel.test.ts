import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeConnect, decodeFrame, encodeConnect, encodeFrame, frameType } from './tunnel.ts';

test('a frame is stream and type as uvarint, then the data', () => {
  const bytes = encodeFrame({ stream: 300, type: frameType.data, data: Buffer.from('hi') });
  assert.is(bytes.toString('hex'), 'ac02036869');
  const frame = decodeFrame(bytes);
  assert.equal([frame?.stream, frame?.type, frame?.data.toString()], [300, 3, 'hi']);
});

test('streams above 32 bits survive', () => {
  const stream = 2 ** 40 + 5;
  assert.is(decodeFrame(encodeFrame({ stream, type: 4, data: Buffer.alloc(0) }))?.stream, stream);
});

test('a cut or endless varint is no frame', () => {
  for (const hex of ['', '80', '0180', 'ffffffffffffffffffff'])
    assert.is(decodeFrame(Buffer.from(hex, 'hex')), undefined, hex);
});

test('a connect request has the fields of a Go URL, and is read back', () => {
  const data = encodeConnect(7, {
    path: '/containerLogs/default/web/app',
    query: 'follow=true',
    method: 'GET',
  });
  const { MessID, url } = JSON.parse(data.toString()) as { MessID: number; url: Record<string, unknown> };
  assert.is(MessID, 7);
  assert.equal(
    [url.Scheme, url.Host, url.User, url.RawQuery],
    ['http', '127.0.0.1:10350', null, 'follow=true'],
  );
  assert.equal(decodeConnect(data), {
    path: '/containerLogs/default/web/app',
    query: 'follow=true',
    method: 'GET',
  });
});

test('what is no connect request is refused', () => {
  for (const text of ['', '{', '[]', '{}', '{"url":{"Path":"http://elsewhere/"}}', '{"url":{"Path":5}}'])
    assert.is(decodeConnect(Buffer.from(text)), undefined, text);
});

test.run();
