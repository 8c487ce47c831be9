import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeMessage } from './message.ts';
import { decodeRecords, encodeRecord, encodeRecords, type MessageRecord } from './record.ts';
import { RecordPage } from './record-page.ts';

const test = suite('record');

const EPOCH = 1_700_000_000_000;
const records: [string, MessageRecord][] = [
  [
    'the least that there is',
    {
      seq: 1,
      message: makeMessage({ topic: 't', payload: Buffer.alloc(0), qos: 1, retain: false }),
      targets: [],
    },
  ],
  [
    'everything at once',
    {
      seq: 2 ** 40,
      message: makeMessage({
        topic: 'größe/日本',
        payload: Buffer.from([0, 255, 10]),
        qos: 2,
        retain: true,
        from: 'c"1',
        expiresAt: 4711,
        properties: Buffer.from([3, 0, 1, 0x78, 1, 1]),
      }),
      targets: [
        { sid: 1, qos: 1, retain: false, subscriptionIds: undefined },
        { sid: 70_000, qos: 2, retain: true, subscriptionIds: [1, 268_435_455] },
      ],
    },
  ],
];

for (const [name, record] of records) {
  test(`${name} comes back as it was`, () => {
    const [back] = decodeRecords(encodeRecord(record, EPOCH), EPOCH);
    assert.equal(JSON.parse(JSON.stringify(back)), JSON.parse(JSON.stringify(record)));
  });
}

test('records lie one behind the other, also in the middle of a larger buffer', () => {
  const all = records.map(([, record]) => record);
  const bytes = Buffer.concat([Buffer.from('xx'), encodeRecords(all, EPOCH)]).subarray(2);
  assert.equal(
    decodeRecords(bytes, EPOCH).map(({ seq }) => seq),
    [1, 2 ** 40],
  );
  assert.equal(decodeRecords(new Uint8Array(), EPOCH), []);
});

test('numbers that follow each other, or do not, come back as they were', () => {
  const message = makeMessage({ topic: 't', payload: Buffer.of(1), qos: 1, retain: false });
  const numbers = [7, 8, 9, 12, 13, 2 ** 40, 2 ** 40 + 1];
  const bytes = encodeRecords(
    numbers.map((seq) => ({ seq, message, targets: [] })),
    EPOCH,
  );
  assert.equal(
    decodeRecords(bytes, EPOCH).map(({ seq }) => seq),
    numbers,
  );
  const page = new RecordPage(bytes, EPOCH);
  assert.equal(
    [...page].map(({ seq }) => seq),
    numbers,
  );
  assert.equal(
    [12, 11, 2 ** 40].map((seq) => page.find(seq)?.seq),
    [12, undefined, 2 ** 40],
  );
});

test('an expiry is kept as wall-clock time: the next process has another monotonic clock', () => {
  const message = makeMessage({
    topic: 't',
    payload: Buffer.alloc(1),
    qos: 1,
    retain: false,
    expiresAt: 5000,
  });
  const bytes = encodeRecord({ seq: 1, message, targets: [] }, EPOCH);
  assert.is(decodeRecords(bytes, EPOCH + 3000)[0]?.message.expiresAt, 2000);
});

test('what is cut short is refused', () => {
  const bytes = encodeRecords([records[0]?.[1] as MessageRecord, records[1]?.[1] as MessageRecord], EPOCH);
  for (const length of [1, 11, 13, bytes.length - 1]) {
    assert.throws(() => decodeRecords(bytes.subarray(0, length), EPOCH));
    assert.throws(() => new RecordPage(bytes.subarray(0, length), EPOCH));
  }
});

test('one record of a page is found by its number, which others of the row may lack', () => {
  const message = makeMessage({ topic: 't', payload: Buffer.from('x'), qos: 1, retain: false });
  const seqs = [3, 4, 7, 2 ** 40];
  const page = new RecordPage(
    encodeRecords(
      seqs.map((seq) => ({ seq, message: { ...message, payload: Buffer.from(`${seq}`) }, targets: [] })),
      EPOCH,
    ),
    EPOCH,
  );
  for (const seq of seqs) assert.is(page.find(seq)?.message.payload.toString(), `${seq}`);
  for (const seq of [2, 5, 8, 2 ** 41]) assert.is(page.find(seq), undefined);
  assert.equal(
    [...page].map(({ seq }) => seq),
    seqs,
  );
  assert.is(new RecordPage(new Uint8Array(), EPOCH).find(1), undefined);
});

test.run();
