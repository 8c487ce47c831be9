import type { Clock } from '../core/clock.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import type { Secret } from '../core/k8s.ts';
import type { Container, Pod } from '../core/pod.ts';
import { minutes } from '../core/units.ts';
import type { CriCall } from '../wire/cri.ts';

export type ImageDeps = {
  readonly call: CriCall;
  readonly clock: Clock;
  readonly secret: (namespace: string, name: string) => Promise<Secret>;
};

/** A container cannot be started; `reason` is the word that Kubernetes has for it. */
export class StartError extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.name = 'StartError';
    this.reason = reason;
  }
}

type Credentials = { readonly username?: string; readonly password?: string; readonly auth?: string };

const PULL_TIMEOUT = minutes(15);

/** Makes sure that a container's image is here.
 * @returns the reference to create the container from
 * @throws StartError ErrImagePull, ErrImageNeverPull, InvalidImageName */
export async function ensureImage(deps: ImageDeps, pod: Pod, container: Container): Promise<string> {
  const { image } = container;
  if (!image) throw new StartError('InvalidImageName', `container ${container.name} names no image`);
  const policy =
    container.imagePullPolicy ?? (/:latest$|^[^:]+$/.test(nameOf(image)) ? 'Always' : 'IfNotPresent');
  const present = await imageId(deps.call, image);
  if (present && policy !== 'Always') return present;
  if (policy === 'Never')
    throw new StartError('ErrImageNeverPull', `image ${image} is not here and may not be pulled`);
  try {
    await pull(deps, pod, image);
  } catch (error) {
    throw new StartError('ErrImagePull', `${image}: ${errorText(error)}`);
  }
  return (await imageId(deps.call, image)) ?? image;
}

/** Last path element with its tag. */
function nameOf(image: string): string {
  return image.includes('@') ? ':digest' : image.slice(image.lastIndexOf('/') + 1);
}

async function imageId(call: CriCall, image: string): Promise<string | undefined> {
  const answer = await call('imageStatus', { image: { image } });
  return answer.image?.id;
}

/** Fetches an image, whether or not it is here.
 * @param secret `NAMESPACE/NAME` of the registry's credentials, or empty */
export function pullImage(deps: ImageDeps, image: string, secret: string): Promise<void> {
  const [namespace = '', name = ''] = secret.split('/');
  const spec = { containers: [], ...(name ? { imagePullSecrets: [{ name }] } : {}) };
  return pull(deps, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'prepull', namespace }, spec }, image);
}

/** Tries without credentials when the pod names none, else with each that fits. */
async function pull({ call, secret }: ImageDeps, pod: Pod, image: string): Promise<void> {
  const candidates: (Credentials | undefined)[] = [];
  for (const { name } of pod.spec.imagePullSecrets ?? []) {
    const object = await secret(pod.metadata.namespace ?? 'default', name).catch((error: unknown) => {
      if (error instanceof EdgeError && error.code === 'OBJECT_NOT_FOUND') return undefined;
      throw error;
    });
    const found = object && credentialsFor(image, object);
    if (found) candidates.push(found);
  }
  candidates.push(undefined);
  let failure: unknown;
  for (const auth of candidates) {
    try {
      await call('pullImage', { image: { image }, auth }, PULL_TIMEOUT);
      return;
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/** @source Kubernetes: Secret type kubernetes.io/dockerconfigjson */
export function credentialsFor(image: string, secret: Secret): Credentials | undefined {
  const text = secret.data?.['.dockerconfigjson'];
  if (!text) return undefined;
  let auths: Readonly<Record<string, Credentials>>;
  try {
    const parsed = JSON.parse(Buffer.from(text, 'base64').toString()) as {
      auths?: Record<string, Credentials>;
    };
    auths = parsed.auths ?? {};
  } catch {
    return undefined;
  }
  const host =
    image.includes('/') && /[.:]|^localhost$/.test(image.split('/', 1)[0] ?? '')
      ? image
      : `docker.io/${image}`;
  const [match] = Object.entries(auths)
    .map(([server, credentials]) => ({ server: registryOf(server), credentials }))
    // Up to a whole path element: what is for quay.io is not for quay.io.example.com.
    .filter(({ server }) => host.startsWith(`${server}/`))
    .sort((a, b) => b.server.length - a.server.length);
  return match?.credentials;
}

/** A key of `auths` without scheme and API version; Docker Hub's is an address that no image names. */
function registryOf(server: string): string {
  return server.replace(/^https?:\/\/|\/(v\d\/?)?$/g, '').replace(/^index\.docker\.io(?=\/|$)/, 'docker.io');
}
