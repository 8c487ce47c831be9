import { isRecord } from '../../../core/message.ts';
import type { ApiPath } from '../api-path.ts';

/** What a request does, in the words of RBAC. */
export type Attributes = { readonly verb: string; readonly path: ApiPath };

export function attributesOf(method: string, path: ApiPath, watch: boolean): Attributes {
  const one = path.name !== '';
  switch (method) {
    case 'GET':
      return { verb: watch ? 'watch' : one ? 'get' : 'list', path };
    case 'POST':
      return { verb: 'create', path };
    case 'PUT':
      return { verb: 'update', path };
    case 'PATCH':
      return { verb: 'patch', path };
    case 'DELETE':
      return { verb: one ? 'delete' : 'deletecollection', path };
    default:
      return { verb: method.toLowerCase(), path };
  }
}

/** Whether a ServiceAccountAccess lets its account do something. Rules of a RoleBinding hold in its namespace.
 * @param access its `spec`
 * @source KubeEdge policy.kubeedge.io/v1alpha1; kubernetes plugin/pkg/auth/authorizer/rbac */
export function isAllowed(access: unknown, asked: Attributes): boolean {
  if (!isRecord(access)) return false;
  const everywhere = recordsOf(access.accessClusterRoleBinding).flatMap(({ rules }) => recordsOf(rules));
  const within = recordsOf(access.accessRoleBinding)
    .filter(({ roleBinding }) => namespaceOf(roleBinding) === (asked.path.namespace ?? NONE))
    .flatMap(({ rules }) => recordsOf(rules));
  return [...everywhere, ...within].some((rule) => ruleAllows(rule, asked));
}

/** No namespace has this name. */
const NONE = '/';

function ruleAllows(rule: Record<string, unknown>, { verb, path }: Attributes): boolean {
  const names = textsOf(rule.resourceNames);
  const resource = path.subresource ? `${path.plural}/${path.subresource}` : path.plural;
  return (
    holds(rule.verbs, verb) &&
    holds(rule.apiGroups, path.group) &&
    (holds(rule.resources, resource) ||
      (path.subresource !== '' && textsOf(rule.resources).includes(`*/${path.subresource}`))) &&
    (names.length === 0 || names.includes(path.name))
  );
}

function holds(list: unknown, wanted: string): boolean {
  const texts = textsOf(list);
  return texts.includes('*') || texts.includes(wanted);
}

function namespaceOf(binding: unknown): unknown {
  return isRecord(binding) && isRecord(binding.metadata) ? binding.metadata.namespace : undefined;
}

function recordsOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}
