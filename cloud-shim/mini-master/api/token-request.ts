import { ISSUER, type TokenSigner, type TokenSubject } from '../auth/tokens.ts';
import { asText, type JsonObject, listAt, objectAt, textAt } from '../json.ts';
import { badRequest, notFound } from '../status.ts';
import type { Store } from '../store/store.ts';

const DEFAULT_LIFE = 3600;
const LEAST_LIFE = 600;
const LONGEST_LIFE = 86_400;

/** Answers a TokenRequest for a service account. Throws 404, 400.
 * @param now ms since epoch
 * @source kubernetes pkg/registry/core/serviceaccount/storage token.go */
export function issueToken(
  store: Store,
  signer: TokenSigner,
  account: { readonly namespace: string; readonly name: string },
  request: JsonObject,
  now: number,
): JsonObject {
  const { namespace, name } = account;
  const found = store.get('serviceaccounts', namespace, name);
  if (!found) throw notFound({ group: '', plural: 'serviceaccounts' }, name);
  const spec = objectAt(request, 'spec');
  const asked = Number(spec.expirationSeconds ?? DEFAULT_LIFE);
  if (!Number.isInteger(asked) || asked < LEAST_LIFE)
    throw badRequest(
      `spec.expirationSeconds: Invalid value: ${asked}: may not specify a duration less than 10 minutes`,
    );
  const life = Math.min(asked, LONGEST_LIFE);
  const audiences = listAt(spec, 'audiences').map(asText);
  const subject: TokenSubject = {
    namespace,
    serviceAccount: { name, uid: found.metadata.uid ?? '' },
    ...boundTo(store, namespace, spec),
  };
  const seconds = Math.floor(now / 1000);
  const token = signer.issue(subject, audiences.length > 0 ? audiences : [ISSUER], seconds, life);
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: {
      name,
      namespace,
      creationTimestamp: new Date(seconds * 1000).toISOString().replace('.000', ''),
    },
    spec: { ...spec, audiences: audiences.length > 0 ? audiences : [ISSUER], expirationSeconds: life },
    status: {
      token,
      expirationTimestamp: new Date((seconds + life) * 1000).toISOString().replace('.000', ''),
    },
  };
}

function boundTo(store: Store, namespace: string, spec: JsonObject): Pick<TokenSubject, 'bound' | 'node'> {
  const ref = objectAt(spec, 'boundObjectRef');
  const name = asText(ref.name);
  if (!name) return {};
  if (ref.kind !== 'Pod') throw badRequest(`cannot bind token to object of type ${asText(ref.kind)}`);
  const pod = store.get('pods', namespace, name);
  if (!pod) throw notFound({ group: '', plural: 'pods' }, name);
  const uid = pod.metadata.uid ?? '';
  if (ref.uid && ref.uid !== uid)
    throw badRequest(
      `the UID in the bound object reference (${asText(ref.uid)}) does not match the UID in record`,
    );
  const node = textAt(pod, 'spec', 'nodeName');
  const nodeUid = store.get('nodes', '', node)?.metadata.uid ?? '';
  return { bound: { kind: 'pod', name, uid }, ...(node ? { node: { name: node, uid: nodeUid } } : {}) };
}
