import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { WriteOutcome } from '../core/device-commands.ts';
import { type ApiDevice, MapperApi } from './mapper-api.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const oven: ApiDevice = {
  methods: [
    { name: 'heat', properties: ['setpoint', 'fan'] },
    { name: 'stop', properties: [] },
  ],
  properties: [
    { name: 'setpoint', type: 'float', value: '180.5' },
    { name: 'fan', type: 'boolean', value: 'true', away: 'exception 2' },
    { name: 'new', type: 'int' },
  ],
  modelName: 'default/oven-model',
  model: {
    metadata: { name: 'oven-model', namespace: 'default' },
    spec: {
      properties: [
        {
          name: 'setpoint',
          type: 'FLOAT',
          accessMode: 'ReadWrite',
          minimum: '0',
          maximum: '300',
          unit: '°C',
        },
        { name: 'fan', type: 'BOOLEAN', description: '' },
      ],
    },
  },
};
const broken: ApiDevice = {
  methods: [{ name: 'm', properties: ['ghost'] }],
  properties: [],
  modelName: 'default/none',
};
const calls: string[] = [];
const api = new MapperApi({
  now: () => NOW,
  devices: {
    device: (id) => ({ 'default/oven': oven, 'default/broken': broken })[id as string],
    call: async (...args): Promise<WriteOutcome> => {
      calls.push(args.join(' '));
      return args[2] === 'setpoint'
        ? { kind: 'done' }
        : {
            kind: 'refused',
            code: 422,
            reason: `can't find device propertyName ${args[2]} in device instance`,
          };
    },
  },
});

const ask = (path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') =>
  api.answer({ method, path, header: (name) => headers[name], address: '127.0.0.1', body: '' });

const base = { apiVersion: 'v1', statusCode: 200, timeStamp: '2026-01-02T03:04:05Z' };
/** What KubeEdge's server answers, field by field. */
const answers: [string, object][] = [
  ['/api/v1/ping', { Message: 'This is v1 API, the server is running normally.' }],
  [
    '/api/v1/device/default/oven/setpoint',
    {
      Data: {
        DeviceName: 'oven',
        PropertyName: 'setpoint',
        Namespace: 'default',
        Value: '180.5',
        Type: 'float',
        TimeStamp: NOW,
      },
    },
  ],
  [
    '/api/v1/devicemethod/default/oven',
    {
      Data: {
        Methods: [
          {
            Name: 'heat',
            Path: '/api/v1/devicemethod/default/oven/heat/{propertyName}/{data}',
            Parameters: [
              { PropertyName: 'setpoint', ValueType: 'float' },
              { PropertyName: 'fan', ValueType: 'boolean' },
            ],
          },
          {
            Name: 'stop',
            Path: '/api/v1/devicemethod/default/oven/stop/{propertyName}/{data}',
            Parameters: [],
          },
        ],
      },
    },
  ],
  [
    '/api/v1/devicemethod/default/oven/heat/setpoint/190',
    { Message: 'Write data 190 to device default/oven successfully.' },
  ],
  [
    '/api/v1/meta/model/default/oven',
    {
      id: 'default/oven-model',
      name: 'oven-model',
      namespace: 'default',
      properties: [
        {
          name: 'setpoint',
          dataType: 'FLOAT',
          accessMode: 'ReadWrite',
          minimum: '0',
          maximum: '300',
          unit: '°C',
        },
        { name: 'fan', dataType: 'BOOLEAN' },
      ],
    },
  ],
];
for (const [path, fields] of answers) {
  test(`GET ${path}`, async () => {
    const answer = await ask(path, { 'x-correlation-id': 'c-1', 'user-agent': 'curl/8' });
    assert.equal([answer.status, answer.type], [200, 'application/json']);
    assert.is(answer.body, JSON.stringify({ ...base, ...fields }));
    assert.equal(answer.headers, { 'X-Correlation-ID': 'c-1' });
  });
}

const refusals: [string, number, string][] = [
  ['/api/v1/device/default/none/x', 500, 'Get device data error: not found device default/none\n'],
  [
    '/api/v1/device/default/oven/ghost',
    500,
    "Get device data error: can't find device propertyName ghost in device instance\n",
  ],
  ['/api/v1/device/default/oven/fan', 500, 'Get device data error: get device data failed: exception 2\n'],
  [
    '/api/v1/device/default/oven/new',
    500,
    'Get device data error: get device data failed: it has not been read yet\n',
  ],
  ['/api/v1/devicemethod/default/none', 500, 'Get device method error: device default/none not found\n'],
  [
    '/api/v1/devicemethod/default/broken',
    500,
    'Get device method error: unable to find device property ghost defined in device method\n',
  ],
  [
    '/api/v1/devicemethod/default/oven/heat/x%20y/1',
    500,
    "Write device data error: can't find device propertyName x y in device instance\n",
  ],
  ['/api/v1/meta/model/default/none', 500, 'Get device error: device default/none not found\n'],
  ['/api/v1/meta/model/default/broken', 500, 'Get device model error: deviceModel default/none not found\n'],
  [
    '/api/v1/database/default/oven',
    503,
    'The database is not enabled. Please configure mapper and try again\n',
  ],
  ['/api/v1/device/default/oven', 404, '404 page not found\n'],
  ['/api/v1/device/default/oven/a%2Fb', 404, '404 page not found\n'],
  ['/api/v2/ping', 404, '404 page not found\n'],
  ['/', 404, '404 page not found\n'],
  ['/api/v1/device/default/oven/%', 400, '400 Bad Request\n'],
];
for (const [path, status, body] of refusals) {
  test(`GET ${path} is ${status}`, async () => {
    const answer = await ask(path);
    assert.equal([answer.status, answer.type, answer.body], [status, 'text/plain; charset=utf-8', body]);
  });
}

test('another method than GET is 405, without a body', async () => {
  const answer = await ask('/api/v1/ping', {}, 'POST');
  assert.equal([answer.status, answer.body], [405, '']);
});

const write = '/api/v1/devicemethod/default/oven/heat/setpoint/1';
const browser = { 'user-agent': 'Mozilla/5.0 (X11; Linux)' };
const visitors: [string, Readonly<Record<string, string>>, number][] = [
  ['a program', { 'user-agent': 'Go-http-client/1.1', host: '127.0.0.1:7777' }, 200],
  ['who types the address', { ...browser, 'sec-fetch-site': 'none' }, 200],
  ['a page of this server', { ...browser, 'sec-fetch-site': 'same-origin' }, 200],
  ['an image in a page of another site', { ...browser, 'sec-fetch-site': 'cross-site' }, 403],
  ['a page of another port', { ...browser, 'sec-fetch-site': 'same-site' }, 403],
  ['a browser that does not say from where', browser, 403],
  ['a page that hides what it is', { origin: 'http://evil.example' }, 403],
  ['a name that is pointed at this machine', { host: 'evil.example:7777' }, 403],
];
for (const [who, headers, status] of visitors) {
  test(`${who} is answered ${status}`, async () => {
    calls.length = 0;
    assert.is((await ask(write, headers)).status, status);
    assert.is(calls.length, status === 200 ? 1 : 0);
  });
}

test.run();
