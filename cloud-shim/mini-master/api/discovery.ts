import type { Json, JsonObject } from '../json.ts';
import type { Registry } from '../kinds/registry.ts';
import { apiVersionOf } from '../kinds/resource.ts';
import { noSuchPath } from '../status.ts';
import { type Review, reviewGroups, reviews } from './reviews.ts';

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const STATUS_VERBS = ['get', 'patch', 'update'];

/** `/api`. */
export function coreVersions(): JsonObject {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
}

/** `/apis`. */
export function groupList(registry: Registry): JsonObject {
  const groups = [...registry.groups().filter(Boolean), ...reviewGroups];
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map((group) => groupOf(registry, group)) };
}

/** `/apis/GROUP`. Throws 404. */
export function groupOf(registry: Registry, group: string): JsonObject {
  const names = reviewGroups.includes(group) ? ['v1'] : registry.versions(group);
  if (names.length === 0 || !group) throw noSuchPath();
  const versions = names.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { kind: 'APIGroup', apiVersion: 'v1', name: group, versions, preferredVersion: versions[0] };
}

/** `/api/v1` and `/apis/GROUP/VERSION`. Throws 404. */
export function resourceList(registry: Registry, group: string, version: string): JsonObject {
  const asked = reviews.filter((review) => review.group === group && version === 'v1').map(reviewResource);
  const resources = [...asked, ...resourcesOf(registry, group, version)];
  if (resources.length === 0) throw noSuchPath();
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(group, version), resources };
}

function resourcesOf(registry: Registry, group: string, version: string): Json[] {
  return registry.all().flatMap((resource): Json[] => {
    const served = resource.versions.find((v) => v.name === version);
    if (resource.group !== group || !served) return [];
    const { plural, singular, namespaced, kind, shortNames, categories } = resource;
    const main: JsonObject = {
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs: VERBS,
      ...(shortNames.length > 0 ? { shortNames: [...shortNames] } : {}),
      ...(categories.length > 0 ? { categories: [...categories] } : {}),
    };
    const status = { name: `${plural}/status`, singularName: '', namespaced, kind, verbs: STATUS_VERBS };
    const others = resource.subresources.map(({ name, ...rest }) => ({
      name: `${plural}/${name}`,
      singularName: '',
      namespaced,
      ...rest,
      verbs: [...rest.verbs],
    }));
    return [main, ...(served.hasStatus ? [status] : []), ...others];
  });
}

function reviewResource({ kind, plural, namespaced }: Review): JsonObject {
  return { name: plural, singularName: kind.toLowerCase(), namespaced, kind, verbs: ['create'] };
}
