import type { Target } from '../api/objects.ts';
import { type ApiObject, asText, objectsAt } from '../json.ts';
import type { Registry } from '../kinds/registry.ts';
import type { Store } from '../store/store.ts';

/** The objects all of whose owners are gone.
 * @source kubernetes pkg/controller/garbagecollector */
export function orphans(store: Store, registry: Registry): Target[] {
  const found: Target[] = [];
  for (const resource of registry.all()) {
    const [version] = resource.versions;
    if (!version) continue;
    for (const object of store.list(resource.collection)) {
      const owners = objectsAt(object, 'metadata', 'ownerReferences');
      if (owners.length === 0 || owners.some((owner) => lives(store, registry, object, owner))) continue;
      const { name = '', namespace = '' } = object.metadata;
      found.push({ served: { resource, version }, namespace, name });
    }
  }
  return found;
}

function lives(
  store: Store,
  registry: Registry,
  object: ApiObject,
  owner: ReturnType<typeof objectsAt>[number],
): boolean {
  const group = asText(owner.apiVersion).split('/').slice(0, -1).join('/');
  const resource = registry.all().find((known) => known.kind === owner.kind && known.group === group);
  // Of a kind that is not served here nothing is known: what it owns stays.
  if (!resource) return true;
  const namespace = resource.namespaced ? (object.metadata.namespace ?? '') : '';
  return store.get(resource.collection, namespace, asText(owner.name))?.metadata.uid === owner.uid;
}
