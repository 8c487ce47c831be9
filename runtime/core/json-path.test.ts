import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseJsonPath, partAt } from './json-path.ts';

const document = { climate: { temp: 21.5 }, sensors: [{ t: 1 }, { t: 2 }], 'odd key': { v: false } };
const rows: [string, unknown][] = [
  ['climate.temp', 21.5],
  ['sensors[1].t', 2],
  ['["odd key"].v', false],
  ['sensors', document.sensors],
  ['climate.rain', undefined],
  ['climate[0]', undefined],
  ['toString', undefined],
];
for (const [path, wanted] of rows) {
  test(`${path} leads to ${JSON.stringify(wanted)}`, () => {
    const parsed = parseJsonPath(path);
    assert.ok(!('fault' in parsed));
    assert.equal(partAt(document, parsed), wanted);
  });
}

for (const path of ['', 'a..b', 'a[x]', 'a b']) {
  test(`${JSON.stringify(path)} is no path`, () => assert.ok('fault' in parseJsonPath(path)));
}

test.run();
