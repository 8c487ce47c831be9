import type { ApiObject } from '../json.ts';
import type { Change } from '../store/store.ts';
import { builtinResources } from './builtin.ts';
import { customResource } from './crd.ts';
import type { Resource, ResourceVersion } from './resource.ts';

export const CRDS = 'customresourcedefinitions.apiextensions.k8s.io';

/** A resource in one of its versions. */
export type Served = { readonly resource: Resource; readonly version: ResourceVersion };

type CrdSource = {
  list(collection: string): readonly ApiObject[];
  watch(collection: string, listener: (change: Change) => void): () => void;
  compact(collection: string): void;
};

/** Every resource that is served now: the built-in ones and those of the installed CRDs. */
export class Registry {
  private readonly source: CrdSource;
  private known: readonly Resource[] | undefined;
  /** Grows whenever the resources change, so that what was derived from them can be kept. */
  generation = 0;

  constructor(source: CrdSource) {
    this.source = source;
    source.watch(CRDS, ({ type, object }) => {
      this.known = undefined;
      this.generation++;
      // Nobody can have seen its objects before: the history of an earlier kind of this name is none of it.
      if (type === 'ADDED') source.compact(object.metadata.name ?? '');
    });
  }

  all(): readonly Resource[] {
    this.known ??= [
      ...builtinResources,
      ...this.source.list(CRDS).flatMap((crd) => customResource(crd) ?? []),
    ];
    return this.known;
  }

  find(group: string, version: string, plural: string): Served | undefined {
    const resource = this.all().find((r) => r.group === group && r.plural === plural);
    const served = resource?.versions.find((v) => v.name === version);
    return resource && served ? { resource, version: served } : undefined;
  }

  byCollection(collection: string): Resource | undefined {
    return this.all().find((r) => r.collection === collection);
  }

  byKind(group: string, kind: string): Resource | undefined {
    return this.all().find((r) => r.group === group && r.kind === kind);
  }

  groups(): string[] {
    return [...new Set(this.all().map((r) => r.group))];
  }

  /** The versions of a group, the preferred one first. */
  versions(group: string): string[] {
    const names = this.all().flatMap((r) => (r.group === group ? r.versions.map((v) => v.name) : []));
    return [...new Set(names)];
  }
}
