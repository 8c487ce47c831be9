import { FOREGROUND, type Holder, ORPHAN } from '../api/delete-options.ts';
import type { Target } from '../api/objects.ts';
import { type ApiObject, asText, type JsonObject, listAt, objectsAt } from '../json.ts';
import type { Registry } from '../kinds/registry.ts';
import type { Store } from '../store/store.ts';

/** Where an object is, and what it is now. */
export type Found = { readonly target: Target; readonly object: ApiObject };

/** The objects all of whose owners are gone.
 * @source kubernetes pkg/controller/garbagecollector */
export function orphans(store: Store, registry: Registry): Target[] {
  return everything(store, registry)
    .filter(({ object }) => {
      const owners = ownersOf(object);
      return owners.length > 0 && !owners.some((owner) => lives(store, registry, object, owner));
    })
    .map(({ target }) => target);
}

/** The objects whose deletion waits for what they own. */
export function leaving(store: Store, registry: Registry): (Found & { readonly holder: Holder })[] {
  return everything(store, registry).flatMap((found) => {
    const finalizers = listAt(found.object, 'metadata', 'finalizers');
    const holder = ([ORPHAN, FOREGROUND] as const).find((name) => finalizers.includes(name));
    return holder && found.object.metadata.deletionTimestamp ? [{ ...found, holder }] : [];
  });
}

/** What an object owns. */
export function ownedBy(store: Store, registry: Registry, { metadata }: ApiObject): Found[] {
  return everything(store, registry).filter(({ object }) =>
    ownersOf(object).some((owner) => owner.uid === metadata.uid),
  );
}

/** A copy that `owner` does not own. */
export function disowned(object: ApiObject, owner: ApiObject): ApiObject {
  const ownerReferences = ownersOf(object).filter((each) => each.uid !== owner.metadata.uid);
  return { ...object, metadata: { ...object.metadata, ownerReferences } };
}

export function ownersOf(object: ApiObject): JsonObject[] {
  return objectsAt(object, 'metadata', 'ownerReferences');
}

function everything(store: Store, registry: Registry): Found[] {
  // Two resources may show one collection.
  const resources = new Map([...registry.all()].reverse().map((resource) => [resource.collection, resource]));
  return [...resources.values()].flatMap((resource) => {
    const [version] = resource.versions;
    if (!version) return [];
    return store.list(resource.collection).map((object) => {
      const { name = '', namespace = '' } = object.metadata;
      return { target: { served: { resource, version }, namespace, name }, object };
    });
  });
}

function lives(store: Store, registry: Registry, object: ApiObject, owner: JsonObject): boolean {
  const group = asText(owner.apiVersion).split('/').slice(0, -1).join('/');
  const resource = registry.all().find((known) => known.kind === owner.kind && known.group === group);
  // Of a kind that is not served here nothing is known: what it owns stays.
  if (!resource) return true;
  const namespace = resource.namespaced ? (object.metadata.namespace ?? '') : '';
  return store.get(resource.collection, namespace, asText(owner.name))?.metadata.uid === owner.uid;
}
