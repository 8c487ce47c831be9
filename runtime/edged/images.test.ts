import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EdgeError, errorCode } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import type { Secret } from '../core/k8s.ts';
import type { Container, Pod } from '../core/pod.ts';
import type { CriCall } from '../wire/cri.ts';
import { credentialsFor, ensureImage, StartError } from './images.ts';

const secretOf = (auths: Record<string, { username: string; password?: string }>): Secret => ({
  metadata: { name: 'pull' },
  data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') },
});

type Context = {
  /** Images that are here. */
  present: Set<string>;
  pulls: (string | undefined)[];
  /** Credentials that open the registry; undefined for none needed. */
  opens: { user: string | undefined };
  secrets: Map<string, Secret | EdgeError>;
  ensure: (parts: Partial<Container>, pullSecrets?: string[]) => Promise<string>;
};
const test = suite<Context>('images');

test.before.each((context) => {
  const present = new Set<string>();
  const pulls: (string | undefined)[] = [];
  const opens: Context['opens'] = { user: undefined };
  const secrets: Context['secrets'] = new Map();
  const answer = async (method: string, request: unknown): Promise<unknown> => {
    const { image, auth } = request as { image: { image: string }; auth?: { username: string } };
    if (method === 'imageStatus')
      return present.has(image.image) ? { image: { id: `sha256:${image.image}` } } : { image: undefined };
    pulls.push(auth?.username);
    if (auth?.username !== opens.user) throw new Error('denied');
    present.add(image.image);
    return { imageRef: '' };
  };
  const secret = async (_namespace: string, name: string): Promise<Secret> => {
    const found = secrets.get(name) ?? new EdgeError('OBJECT_NOT_FOUND');
    if (found instanceof EdgeError) throw found;
    return found;
  };
  const ensure: Context['ensure'] = (parts, pullSecrets = []) => {
    const container = { name: 'app', image: 'quay.io/team/app:1', ...parts };
    const pod: Pod = {
      metadata: { name: 'web' },
      spec: { containers: [container], imagePullSecrets: pullSecrets.map((name) => ({ name })) },
    };
    return ensureImage({ call: answer as CriCall, clock: new FakeClock(), secret }, pod, container);
  };
  Object.assign(context, { present, pulls, opens, secrets, ensure });
});

const reasonOf = (work: Promise<unknown>): Promise<unknown> =>
  work.catch((error: unknown) => (error instanceof StartError ? error.reason : errorCode(error)));

const policies: [string, Container['imagePullPolicy'], boolean, number][] = [
  ['app:1', undefined, true, 0],
  ['app:1', undefined, false, 1],
  ['app', undefined, true, 1],
  ['app:latest', undefined, true, 1],
  ['registry:5000/app', undefined, true, 1],
  ['registry:5000/app:1', undefined, true, 0],
  ['app@sha256:aa', undefined, true, 0],
  ['app:latest', 'IfNotPresent', true, 0],
  ['app:1', 'Always', true, 1],
  ['app', 'Never', true, 0],
];
for (const [image, imagePullPolicy, here, count] of policies) {
  const policy = imagePullPolicy ?? 'no policy';
  test(`${image} with ${policy}, ${here ? 'here' : 'not here'}: ${count ? 'pulled' : 'not pulled'}`, async ({
    ensure,
    present,
    pulls,
  }) => {
    if (here) present.add(image);
    const id = await ensure({ image, ...(imagePullPolicy ? { imagePullPolicy } : {}) });
    assert.is(id, `sha256:${image}`);
    assert.is(pulls.length, count);
  });
}

test('an image that is not here and may not be pulled', async ({ ensure, pulls }) => {
  assert.is(await reasonOf(ensure({ imagePullPolicy: 'Never' })), 'ErrImageNeverPull');
  assert.equal(pulls, []);
});

test('a container that names no image', async ({ ensure }) => {
  assert.is(await reasonOf(ensure({ image: '' })), 'InvalidImageName');
});

test('a pull that fails', async ({ ensure, opens }) => {
  opens.user = 'somebody';
  assert.is(await reasonOf(ensure({})), 'ErrImagePull');
});

test('each pull secret that fits is tried in order, then none', async ({ ensure, opens, secrets, pulls }) => {
  secrets.set('one', secretOf({ 'quay.io': { username: 'one' } }));
  secrets.set('other', secretOf({ 'registry.example.com': { username: 'other' } }));
  secrets.set('two', secretOf({ 'quay.io': { username: 'two' } }));
  opens.user = 'two';
  await ensure({}, ['one', 'other', 'two', 'missing']);
  assert.equal(pulls, ['one', 'two']);
});

test('a public image is pulled although the credentials are refused', async ({ ensure, secrets, pulls }) => {
  secrets.set('one', secretOf({ 'quay.io': { username: 'old' } }));
  await ensure({}, ['one']);
  assert.equal(pulls, ['old', undefined]);
});

test('a pull secret that cannot be reached holds the pull up', async ({ ensure, secrets, pulls }) => {
  secrets.set('one', new EdgeError('LINK_OFFLINE'));
  assert.is(await reasonOf(ensure({}, ['one'])), 'ErrImagePull');
  assert.equal(pulls, []);
});

const matches: [string, string, boolean][] = [
  ['quay.io', 'quay.io/team/app:1', true],
  ['https://quay.io', 'quay.io/team/app:1', true],
  ['https://quay.io/v1/', 'quay.io/team/app:1', true],
  ['quay.io/team', 'quay.io/team/app:1', true],
  ['quay.io/te', 'quay.io/team/app:1', false],
  ['quay.io/other', 'quay.io/team/app:1', false],
  ['quay.io', 'quay.io.example.com/team/app:1', false],
  ['localhost', 'localhost:5000/app', false],
  ['localhost:5000', 'localhost:5000/app', true],
  ['localhost', 'localhost/app', true],
  ['https://index.docker.io/v1/', 'nginx:1', true],
  ['https://index.docker.io/v1/', 'team/app', true],
  ['docker.io', 'docker.io/team/app', true],
  ['docker.io', 'nginx', true],
  ['https://index.docker.io/v1/', 'quay.io/team/app:1', false],
];
for (const [server, image, fits] of matches) {
  test(`credentials of ${server} are ${fits ? '' : 'not '}for ${image}`, () => {
    assert.is(
      credentialsFor(image, secretOf({ [server]: { username: 'me' } }))?.username,
      fits ? 'me' : undefined,
    );
  });
}

test('of two that fit the longer one is meant', () => {
  const secret = secretOf({ 'quay.io': { username: 'all' }, 'quay.io/team': { username: 'team' } });
  assert.is(credentialsFor('quay.io/team/app', secret)?.username, 'team');
  assert.is(credentialsFor('quay.io/other/app', secret)?.username, 'all');
});

for (const data of [
  undefined,
  {},
  { '.dockerconfigjson': '' },
  { '.dockerconfigjson': 'e30=' },
  { '.dockerconfigjson': 'eA==' },
]) {
  test(`a secret with ${JSON.stringify(data) ?? 'nothing'} holds no credentials`, () => {
    assert.is(credentialsFor('nginx', { metadata: { name: 's' }, ...(data ? { data } : {}) }), undefined);
  });
}

test.run();
